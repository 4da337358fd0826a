"""espeak-ng's library, spoken with in a process of its own: `python -I voice_process.py LIBRARY DATA LANGUAGE SPEED
WORDS WAV`.

A library that crashes takes the process down that it was loaded into, and this one has done so. Imports only the
standard library, and nothing of ours, so that it starts in a moment; voices.py runs it. Exit codes: 0 the WAV file is
written (16 bit, mono, with no samples where there was nothing to say), 3 there is no voice for that language, 4 the
library did not speak.
"""

from __future__ import annotations

import ctypes
import sys
import wave
from pathlib import Path
from typing import Any

NO_VOICE, NOT_SPOKEN = 3, 4
_SYNCHRONOUS = 2  # espeak_AUDIO_OUTPUT: the callback is called before espeak_Synth returns
_UTF8 = 1
_RATE = 1  # espeak_PARAMETER: words a minute


def main(argv: list[str]) -> int:
    library_path, data_path, language, speed, words, out = argv
    library: Any = ctypes.CDLL(library_path)
    rate = int(library.espeak_Initialize(_SYNCHRONOUS, 0, data_path.encode(), 0))
    if rate <= 0 or library.espeak_SetVoiceByName(language.encode()) != 0:
        return NO_VOICE
    heard: list[bytes] = []

    @ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
    def listen(samples: Any, count: int, _events: Any) -> int:
        if samples and count > 0:
            heard.append(ctypes.string_at(samples, 2 * count))
        return 0

    library.espeak_SetSynthCallback(listen)
    library.espeak_SetParameter(_RATE, int(speed), 0)
    text = Path(words).read_bytes()
    error = library.espeak_Synth(text, ctypes.c_size_t(len(text) + 1), 0, 1, 0, _UTF8, None, None)
    if error or library.espeak_Synchronize():
        return NOT_SPOKEN
    samples = b"".join(heard)
    if sys.byteorder == "big":
        swapped = bytearray(samples)
        swapped[::2], swapped[1::2] = samples[1::2], samples[::2]
        samples = bytes(swapped)
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
