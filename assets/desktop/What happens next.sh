#!/bin/sh
# Double-click (or run) to open the story room in a window of its own. With --install it appears among the system's
# programs; with --uninstall it is gone from there again. Finds the program from its own place; writes nothing else.
place=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0")")" && pwd) || exit 1
checkout=$(CDPATH='' cd -- "$place/../.." && pwd) || exit 1
entry="${XDG_DATA_HOME:-$HOME/.local/share}/applications/what-happens-next.desktop"

# Says it where the person looks: in a window when there is one, and in the terminal, which stays open.
complain() {
    printf '%s\n' "$1" >&2
    if [ -n "$DISPLAY$WAYLAND_DISPLAY" ]; then
        if command -v zenity >/dev/null 2>&1; then zenity --error --width=420 --text="$1" 2>/dev/null
        elif command -v kdialog >/dev/null 2>&1; then kdialog --error "$1" 2>/dev/null
        elif command -v xmessage >/dev/null 2>&1; then xmessage -center "$1"
        fi
    fi
    if [ -t 0 ]; then printf 'Press Enter to close this. '; read -r _; fi
    exit 1
}

quoted() { printf '%s' "$1" | sed 's/[\\"`$]/\\&/g; s/\\/\\\\/g; s/%/%%/g'; }

case "$1" in
--install)
    mkdir -p "$(dirname -- "$entry")" || exit 1
    sed -e '/^Exec=/d' -e '/^Icon=/d' "$place/What happens next.desktop" >"$entry" || exit 1
    printf 'Exec="%s"\nIcon=%s\n' "$(quoted "$place/What happens next.sh")" "$place/icons/icon-512.png" >>"$entry"
    printf 'What happens next? is among your programs now (%s).\n' "$entry"
    exit 0
    ;;
--uninstall)
    rm -f -- "$entry"
    exit 0
    ;;
esac

[ -f "$checkout/launch.py" ] || complain "The program is not where this starter expects it ($checkout): leave the starter in assets/desktop of the folder that you downloaded."

# Newest first; `python3` may be any version. A .venv that the program made itself is as good as any.
for python in "$checkout/.venv/bin/python" python3.14 python3.13 python3.12 python3.11 python3 python; do
    if "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then
        cd "$checkout" || exit 1
        "$python" launch.py --window "$@"
        code=$?
        [ "$code" -eq 0 ] || [ "$code" -eq 130 ] || complain "The story room ended with an error (exit code $code). Run this starter in a terminal to read what it says."
        exit "$code"
    fi
done
complain "Python 3.11 or newer is needed and was not found. Install it (Debian and Ubuntu: sudo apt install python3 python3-venv; others: https://www.python.org/downloads/), then start this again."
