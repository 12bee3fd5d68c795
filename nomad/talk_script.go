package nomad

// talker is what a dyno's shell runs around a client's command, the words from $2 on.
//
// It says its process id and waits for a line with the window's size, 0 if there is no terminal: a terminal's size is lost on a
// process that has not started yet, and so is the output of a fast command on a client that Nomad has not connected yet. Then
// comes the mark $1, which ends what the terminal shows of that line, and the command. It runs below this shell, as what it is
// and not as a word of the shell's: Nomad's Docker driver loses what a process puts out at its very end, so this one stays when
// the command has ended, and says the mark and the exit code on both streams. It is ended from outside. ^C is meant for the
// command; a subshell forgets traps.
//
// Its variables have names that config vars cannot have, or the command's environment would change.
const talker = `echo $$
read -r DYNOMAD_ROWS DYNOMAD_COLS || exit
DYNOMAD_MARK=$1
shift
trap : INT QUIT
[ "$DYNOMAD_ROWS" = 0 ] || stty rows "$DYNOMAD_ROWS" cols "$DYNOMAD_COLS" 2>/dev/null || sleep 1
echo "$DYNOMAD_MARK"
(exec "$@")
DYNOMAD_CODE=$?
echo "$DYNOMAD_MARK $DYNOMAD_CODE"
echo "$DYNOMAD_MARK $DYNOMAD_CODE" >&2
exec sleep 100000`

// hanger ends a container with all that runs in it. The process group $1, if any, is told first that its terminal is gone, as a
// shell would be. -1 is all processes but this one and init, which ends with the container's main process.
const hanger = `[ "$1" = 0 ] || { kill -1 -"$1" && sleep 1; }
kill -9 -1`
