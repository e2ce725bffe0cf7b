"""A build killed with SIGKILL at ten random moments and resumed must end in the same bytes as one that was left alone; a flipped byte must be found.

python benchmarks/kill_and_resume.py
"""

import dataclasses
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from common import write
from wskan.errors import DataError
from wskan.zoo import build_zoo, get_recipe, open_zoo

RECIPE = dataclasses.replace(get_recipe("digits-inr"), train=400, val=50, test=50, shard_size=10)
CODE = """
import dataclasses, sys
from wskan.zoo import build_zoo, get_recipe
build_zoo(dataclasses.replace(get_recipe("digits-inr"), train=400, val=50, test=50, shard_size=10), sys.argv[1])
"""


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "shards").glob("*.safetensors"))}


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        whole, cut = Path(folder) / "whole", Path(folder) / "cut"
        build_zoo(RECIPE, whole)
        moments, finished = random.Random(0), []
        for _ in range(10):
            before = len(contents(cut))
            process = subprocess.Popen([sys.executable, "-c", CODE, str(cut)])
            while process.poll() is None and len(contents(cut)) == before:  # until it has written its first shard
                time.sleep(0.001)
            time.sleep(moments.uniform(0, 0.15))
            process.kill()
            if process.wait() == 0:
                raise SystemExit("the build ended before it was killed: choose a larger zoo")
            finished.append(len(contents(cut)))
        zoo = build_zoo(RECIPE, cut)
        same = contents(cut) == contents(whole)
        path = cut / "shards" / "00007.safetensors"
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        try:
            open_zoo(cut).verify()
            found = ""
        except DataError as error:
            found = str(error).replace(str(cut), "ZOO")
        write(
            "kill_and_resume",
            {
                "kans": len(zoo),
                "shards": RECIPE.num_shards,
                "shards_after_each_kill": finished,
                "same_bytes": same,
                "after_a_flipped_byte": found,
            },
        )
        if not same or "00007" not in found:
            raise SystemExit(1)


if __name__ == "__main__":
    main()
