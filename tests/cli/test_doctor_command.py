"""`forecheck doctor`: a page that fits a screen, JSON, and an exit code."""

import json

from forecheck.trials.record import Key
from forecheck.trials.store import Store


def test_a_healthy_store_and_a_damaged_one(forecheck, tmp_path):
    store = Store(tmp_path / "store")
    key = Key.of("verdict", "a verdict", {"x": 1})
    store.write(key, 1)
    done = forecheck("doctor", "--store", store.root)
    assert done.code == 0
    assert done.out.endswith("nothing is wrong\n")
    for word in ("torch ", "extras", "threads", "algebra", "devices", "1 result as it was written"):
        assert word in done.out
    named = str(tmp_path)
    assert all(len(line.replace(named, "")) <= 100 for line in done.out.splitlines())
    (store.place("verdict", key.address) / "result.json").write_text("{")
    done = forecheck("doctor", "--store", store.root, "--json")
    assert done.code == 1
    assert list(json.loads(done.out)["store"]["damaged"]) == [str(store.place("verdict", key.address))]
    done = forecheck("doctor", "--store", store.root)
    assert done.code == 1
    assert "forecheck doctor --mend" in done.out
    assert forecheck("doctor", "--store", store.root, "--mend").code == 0
    assert forecheck("doctor", "--store", store.root).code == 0
