#!/bin/sh
# macOS: double-click to open the story room in a window of its own. Finds the program from its own place. The first time,
# macOS may ask: right-click the file, choose Open, and confirm.
place=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd) || exit 1
checkout=$(CDPATH='' cd -- "$place/../.." && pwd) || exit 1

# Terminal closes its window when the script ends well, so it waits when it did not.
complain() {
    printf '\n%s\n\nPress Enter to close this. ' "$1" >&2
    read -r _
    exit 1
}

[ -f "$checkout/launch.py" ] || complain "The program is not where this starter expects it ($checkout): leave the starter in assets/desktop of the folder that you downloaded."

# Double-clicked programs get a short PATH: Homebrew, python.org and MacPorts are looked for by name.
PATH="$PATH:/opt/homebrew/bin:/usr/local/bin:/opt/local/bin"
for version in 3.14 3.13 3.12 3.11; do
    PATH="$PATH:/Library/Frameworks/Python.framework/Versions/$version/bin"
done
for python in "$checkout/.venv/bin/python" python3.14 python3.13 python3.12 python3.11 python3; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        cd "$checkout" || exit 1
        "$python" launch.py --window "$@"
        code=$?
        [ "$code" -eq 0 ] || [ "$code" -eq 130 ] || complain "The story room ended with an error (exit code $code); what it said is above."
        exit "$code"
    fi
done
complain "Python 3.11 or newer is needed and was not found. Install it from https://www.python.org/downloads/ and start this again."
