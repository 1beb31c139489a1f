from __future__ import annotations

import subprocess
import sys


def test_the_path_library_knows_cos_addresses_and_warns_of_nothing() -> None:
    code = (
        "from upath import UPath\n"
        "from upath.registry import get_upath_class\n"
        "print(get_upath_class('cos').__name__, UPath('cos://music-1250000000/in') / 'a.wav')"
    )
    warned = "error:UPath 'cos' filesystem not explicitly implemented"
    printed = subprocess.check_output([sys.executable, "-W", warned, "-c", code], text=True)
    assert printed.strip() == "CosPath cos://music-1250000000/in/a.wav"
