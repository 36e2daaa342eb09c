import json, datetime as dt
import test_registry as t
from platform_of import *
from boursomatic_assets.learning.parameters import Parameters
def test_x(filled):
    whole = t.versions(filled); seen=0
    for i in range(60):
        execute(filled, *t.FORGET)
        registry.train_due(LAST, Parameters())
        for a, b in zip(t.versions(filled), whole):
            for k in a:
                if a[k] != b[k]:
                    if k == "metrics_json":
                        x, y = json.loads(a[k]), json.loads(b[k])
                        print(i, a["version"], {n: (x[n], y[n]) for n in x if x[n] != y[n]})
                    else: print(i, a["version"], k, a[k], b[k])
