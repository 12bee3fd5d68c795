package nomad

// LimitOutput sets how much of an output is kept in memory and at all, in bytes.
func LimitOutput(e *Executor, memory, total int) {
	e.limits = spoolLimits{memory: memory, total: total}
}
