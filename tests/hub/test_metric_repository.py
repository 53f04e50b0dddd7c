"""Metrics as Spaces: evaluate loads and computes them where hf_ntg is not installed."""

import json
import re
import runpy

import pytest
import yaml

from hf_ntg import InputError
from hf_ntg.flows import save_flows
from hf_ntg.hub import lay_out_metric
from hf_ntg.hub.bundle import bundle_metric, requirements_of
from hf_ntg.metrics import ALL_METRICS

MODEL_NEEDED = "likelihood_membership"
NAMES = sorted(ALL_METRICS.keys() - {MODEL_NEEDED})


@pytest.fixture(scope="module")
def published(client):
    client.run("""
from hf_ntg.hub import Destination, publish_metric
for name in ("flow_jsd", "membership_inference", "flow_fidelity"):
    publish_metric(name, Destination("org/ntg-" + name.replace("_", "-")))
""")
    return "org/ntg-flow-jsd"


def test_evaluate_loads_and_computes_it_without_hf_ntg(stock, client, published, flows, synthetic, tmp_path):
    flows.to_parquet(tmp_path / "real.parquet")
    code = f"""
import json
from datasets import Dataset
real, made = (Dataset.from_parquet(path) for path in ({str(tmp_path / "real.parquet")!r}, {str(synthetic)!r}))
"""
    loaded = stock.run(
        code
        + f"""
import evaluate
print(json.dumps(evaluate.load({published!r}).compute(real=real, synthetic=made)))
"""
    )
    plain = client.run(
        code
        + """
from hf_ntg.metrics.divergence import flow_jsd
print(json.dumps(flow_jsd(real, made)))
"""
    )
    assert json.loads(loaded) == json.loads(plain)


def test_the_usage_example_of_the_card_runs(stock, hub, published):
    for repo in (published, "org/ntg-membership-inference", "org/ntg-flow-fidelity"):
        card = hub.repos["space", repo].at("main")[1]["README.md"].decode()
        (example,) = re.findall(r"```python\n(.*?)```", card, flags=re.DOTALL)
        assert stock.run(example)


@pytest.mark.parametrize("name", NAMES)
def test_every_metric_becomes_a_space_of_its_own(name, tmp_path):
    folder = lay_out_metric(name, tmp_path / "new", f"org/ntg-{name}")
    settings = yaml.safe_load((folder / "README.md").read_text().split("---")[1])
    assert settings["sdk"] == "gradio"
    assert {"evaluate", "metric"} <= set(settings["tags"])
    files = {path.name: path.read_text() for path in folder.glob("*.py")}
    assert not any(re.search(r"^(from|import) hf_ntg", text, flags=re.MULTILINE) for text in files.values())
    compile(files["app.py"], "app.py", "exec")
    requirements = (folder / "requirements.txt").read_text()
    assert "evaluate" in requirements
    assert "torch" not in requirements


def test_a_bundle_holds_what_it_imports_and_no_more():
    files = bundle_metric("flow_jsd", "ntg-flow-jsd.py")
    for text in files.values():
        assert {f"{name}.py" for name in re.findall(r"from \.(ntg_\w+) import", text)} <= files.keys()
    assert not any("models" in name or "training" in name for name in files)
    assert [line.split("<")[0] for line in requirements_of(files)] == ["datasets", "evaluate", "numpy", "pyarrow"]


def test_a_metric_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match="computes from log_likelihood and not from flows alone"):
        lay_out_metric(MODEL_NEEDED, tmp_path / "new", "org/x")
    for name in ("no_such", "../flow_jsd", "registry"):
        with pytest.raises(InputError, match="no metric of hf_ntg"):
            lay_out_metric(name, tmp_path / "new", "org/x")


@pytest.mark.slow
def test_the_page_of_a_space_computes(flows, synthetic, tmp_path):
    gradio = pytest.importorskip("gradio")
    folder = lay_out_metric("flow_jsd", tmp_path / "space", "org/ntg-flow-jsd")
    real = save_flows(flows, tmp_path / "real.parquet")
    page = runpy.run_path(str(folder / "app.py"))
    rows, found = page["compute"](str(real), str(synthetic))
    assert rows[0] == ["all", found["overall"]]
    assert {row[0] for row in rows[1:]} == set(found["per_class"])
    with pytest.raises(gradio.Error, match="synthetic"):
        page["compute"](str(real), None)
