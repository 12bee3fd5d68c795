package jobs

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxInfo is the longest text of Nomad or Consul that is passed on, in bytes.
const maxInfo = 400

func (in DynoInput) stoppedInfo() string {
	a := in.Alloc
	switch {
	case a.Task.Exit.At != 0 && !a.Task.Exit.ByOrder && (a.Batch || a.DesiredText == ""):
		return in.exitText()
	case a.DesiredText != "":
		return in.stoppingInfo()
	}
	return sentence(a.ClientText)
}

// stoppingInfo says why the dyno was told to end, and puts what Nomad's scheduler says of it into plainer words.
func (in DynoInput) stoppingInfo() string {
	switch in.Alloc.DesiredText {
	case allocNotNeeded:
		return "It is no longer wanted."
	case allocUpdating, allocMigrating:
		return "Another dyno takes its place."
	case allocRescheduled:
		return "It failed, and another dyno takes its place."
	case allocLost:
		return fmt.Sprintf("Its node %s is down.", in.Alloc.NodeName)
	}
	return sentence(in.Alloc.DesiredText)
}

func (in DynoInput) startFailureInfo() string {
	why := in.Alloc.Task.Failure
	if why == "" && in.notExecuted() {
		return in.notExecutedInfo()
	}
	if why == "" {
		why = in.Alloc.ClientText
	}
	if in.Content != nil && !strings.Contains(why, in.Content.Image) {
		return fmt.Sprintf("It could not start from the image %s: %s", in.Content.Image, clause(why))
	}
	return "It could not start: " + clause(why)
}

// notExecutedInfo says which command cannot be executed. A shell may have said so of a command of its own.
func (in DynoInput) notExecutedInfo() string {
	code := in.Alloc.Task.Exit.Code
	text := "It could not start: command not found"
	if code == exitNotExecutable {
		text = "It could not start: command cannot be executed"
	}
	if in.Content != nil {
		text += " in the image " + in.Content.Image
	}
	if in.Content != nil && len(in.Content.Command) > 0 {
		return fmt.Sprintf("%s: %s (exit code %d).", text, oneLine(joinWords(in.Content.Command)), code)
	}
	return fmt.Sprintf("%s (exit code %d).", text, code)
}

func (in DynoInput) crashInfo() string {
	text := in.exitText()
	if text == "" {
		text = sentence(in.Alloc.ClientText)
	}
	switch n := in.Alloc.Task.Restarts; {
	case n == 1:
		text += " It was restarted once."
	case n > 1:
		text += fmt.Sprintf(" It was restarted %d times.", n)
	}
	return text
}

// exitText says how the process ended last.
func (in DynoInput) exitText() string {
	exit := in.Alloc.Task.Exit
	switch {
	case exit.At == 0:
		return ""
	case in.notExecuted():
		return in.notExecutedInfo()
	case exit.OOM && in.Content != nil:
		return fmt.Sprintf("It was killed for using more than its limit of %d MiB of memory (exit code %d).", in.Content.MemoryLimitMB, exit.Code)
	case exit.OOM:
		return fmt.Sprintf("It was killed for using more memory than its limit (exit code %d).", exit.Code)
	case exit.Signal != 0:
		return in.signalText(exit.Signal)
	case exit.Code > 128 && exit.Code <= 128+64: // how init and shells pass a signal on
		return in.signalText(exit.Code - 128)
	case exit.Code == exitNotExecutable || exit.Code == exitNotFound:
		return fmt.Sprintf("Its process ended with exit code %d, by which shells tell of a command that cannot be found or executed.", exit.Code)
	}
	return fmt.Sprintf("Its process ended with exit code %d.", exit.Code)
}

// signalText says which signal ended the process. The kernel kills what is out of memory, and Docker does not always learn that it did: at
// times the process's end reaches it before the word of the memory, and it then tells Nomad of a kill only.
func (in DynoInput) signalText(signal int32) string {
	text := fmt.Sprintf("Its process was ended by signal %d (exit code %d)", signal, in.Alloc.Task.Exit.Code)
	if signal == sigKill && !in.Alloc.Task.Exit.ByOrder && in.Content != nil {
		text += fmt.Sprintf(", which may be for using more than its limit of %d MiB of memory", in.Content.MemoryLimitMB)
	}
	return text + "."
}

func (in DynoInput) waitingInfo() string {
	if in.disconnected() {
		return fmt.Sprintf("Its node %s is disconnected: nothing is known of it until the node is back.", in.Alloc.NodeName)
	}
	return "It waits for its config vars: Nomad does not have them yet, or does not let it read them."
}

// pendingInfo says how far its preparation is.
func (in DynoInput) pendingInfo() string {
	switch doing := in.Alloc.Task.Doing; {
	case doing == "":
		return fmt.Sprintf("It was placed on the node %s.", in.Alloc.NodeName)
	case in.Content != nil && doing == "Downloading image":
		return fmt.Sprintf("Its node downloads the image %s.", in.Content.Image)
	default:
		return sentence(doing)
	}
}

func (in DynoInput) probeInfo() string {
	return in.withOutput("Its health check fails")
}

func (in DynoInput) runningInfo() string {
	switch {
	case !in.checked() || in.passing():
		return ""
	case !in.Health.Known:
		return "Consul does not know its health check yet."
	}
	return in.withOutput("Its health check has not passed yet")
}

// withOutput says what the check put out. Where it never passed that is mostly unknown: Consul starts checks as critical and
// tells of output that comes without a change of status only after minutes (its agents' check_update_interval).
func (in DynoInput) withOutput(text string) string {
	output := clause(in.Health.Output)
	switch {
	case output != "":
		return text + ": " + output
	case in.Content == nil || in.Content.Port == 0:
		return text + "."
	case in.Content.CheckPath != "":
		return fmt.Sprintf("%s: GET %s on port %d is not answered with success.", text, in.Content.CheckPath, in.Content.Port)
	}
	return fmt.Sprintf("%s: it does not accept connections on port %d.", text, in.Content.Port)
}

// sentence makes a sentence of what Nomad said.
func sentence(s string) string {
	s = clause(s)
	first, width := utf8.DecodeRuneInString(s)
	if width == 0 {
		return ""
	}
	return string(unicode.ToUpper(first)) + s[width:]
}

// clause makes the end of a sentence of what Nomad or Consul said: on one line, not too long, with a full stop.
func clause(s string) string {
	s = oneLine(s)
	for _, end := range []string{".", "!", "…"} {
		if strings.HasSuffix(s, end) {
			return s
		}
	}
	if s == "" {
		return s
	}
	return s + "."
}

// oneLine puts a text on one line and cuts it short.
func oneLine(s string) string {
	s = strings.Join(strings.Fields(strings.ToValidUTF8(s, "")), " ")
	if len(s) > maxInfo {
		return strings.ToValidUTF8(s[:maxInfo], "") + "…"
	}
	return s
}
