"""Imports the unpacked wheel that argv names first, and writes what it can do into the file that it names second.

A program of its own, because a library that was started once in a process cannot be forgotten there. Its standard
output is not ours alone: PJSIP writes there too, through a buffer of its own that is emptied whenever it likes.
"""

import ctypes
import importlib
import json
import sys
from pathlib import Path

MORE_CALLS_THAN_ANY_LIMIT = 1_000_000


def main() -> None:
    """Starts and stops the library once."""
    place, told = Path(sys.argv[1]), Path(sys.argv[2])
    sys.path.insert(0, str(place))
    pjsua2 = importlib.import_module("pjsua2")
    endpoint = pjsua2.Endpoint()
    endpoint.libCreate()
    config = pjsua2.EpConfig()
    config.uaConfig.maxCalls = MORE_CALLS_THAN_ANY_LIMIT
    config.uaConfig.threadCnt = 0
    config.logConfig.level = config.logConfig.consoleLevel = 0
    endpoint.libInit(config)
    facts = {
        "pjsua2": endpoint.libVersion().full,
        "ioqueue": _text(place / "pjsua2.libs/libpj.so.2", "pj_ioqueue_name"),
        "codecs": [codec.codecId for codec in endpoint.codecEnum2()],
        "openssl": _text("libcrypto.so.3", "OpenSSL_version", 0),
    }
    endpoint.libDestroy()
    told.write_text(json.dumps(facts))


def _text(library: Path | str, function: str, *arguments: int) -> str:
    call = ctypes.CDLL(str(library))[function]
    call.restype = ctypes.c_char_p
    answer: bytes = call(*arguments)
    return answer.decode()


if __name__ == "__main__":
    main()
