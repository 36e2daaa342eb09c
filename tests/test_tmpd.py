import json, datetime as dt
from test_registry import *
from click.testing import CliRunner
from boursomatic_assets.cli import main
def test_x(filled):
    whole = versions(filled)
    for i in range(2):
        execute(filled, *FORGET)
        if i == 0: registry.train_due(dt.date(2023,12,31), Parameters())
        registry.train_due(LAST, Parameters())
        for a, b in zip(versions(filled), whole):
            for k in a:
                if a[k] != b[k]:
                    if k == "metrics_json":
                        x, y = json.loads(a[k]), json.loads(b[k])
                        print(i, a["version"], {n: (x[n], y[n]) for n in x if x[n] != y[n]})
                    else: print(i, a["version"], k, a[k], b[k])
def test_doc(filled, dagster_instance, monkeypatch):
    monkeypatch.setenv("BOURSOMATIC_SOURCE", "crystal_ball")
    for path in (registry.store().folder).iterdir():
        path.unlink()
    r = CliRunner().invoke(main, ["doctor"])
    print(r.output, repr(r.exception))
