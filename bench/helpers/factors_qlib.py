"""qlib's side of `factors.py`: runs in an environment of its own, and does what its standard input says.

What belongs here: the factors as qlib's expressions, and its engine without any cache.
Kept elsewhere: the bars, which `factors.py` writes in qlib's layout.

A line `KERNELS` computes the dataset with so many processes (0: as many as qlib chooses by itself) and answers
the seconds that it took; a line `save PATH` writes the last one's numbers.
"""

import sys
import time

import numpy as np
import qlib
from qlib.config import C
from qlib.data import D
from qlib.data.cache import H

EXPRESSIONS = [
    "$open/$close",
    "$high/$close",
    "$low/$close",
    "Ref($close, 5)/$close",
    "Ref($close, 20)/$close",
    "Ref($close, 60)/$close",
    "Mean($close, 5)/$close",
    "Mean($close, 20)/$close",
    "Mean($close, 60)/$close",
    "Std($close, 20)/$close",
    "Max($high, 20)/$close",
    "Min($low, 20)/$close",
    "($close-Min($low, 20))/(Max($high, 20)-Min($low, 20)+1e-12)",
    "Mean($volume, 20)/($volume+1e-12)",
]


def main(folder: str) -> None:
    """Serve one folder of qlib's files until the input ends."""
    qlib.init(provider_uri=folder, expression_cache=None, dataset_cache=None, logging_level=40)
    chosen = C["kernels"]
    found = None
    print("ready", flush=True)
    for line in sys.stdin:
        word, _, path = line.strip().partition(" ")
        if word == "save":
            np.save(path, found.to_numpy())
            print("saved", flush=True)
            continue
        C["kernels"] = int(word) or chosen
        H.clear()
        began = time.perf_counter()
        found = D.features(D.instruments("all"), EXPRESSIONS, freq="day", disk_cache=0)
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
