import pytest
from datasets import Dataset

import hf_ntg
from hf_ntg.flows import save_flows
from hf_ntg.metrics import load as load_metric
from hf_ntg.models.baselines import make_baseline
from hf_ntg.space.upload import read_upload
from hf_ntg.study.plan import QUICK
from hf_ntg.study.run import run_study

_GOOD = {"label": "a", "payload_length": [5, 3, 7], "direction": [1, -1, 1], "inter_arrival_time": [0.0, 0.01, 0.01]}
_WRONG = {
    "0 is not": {"direction": [0, 1, 0]},
    "nan": {"inter_arrival_time": [0.0, float("nan"), 0.01]},
    "-3 is not": {"payload_length": [5, -3, 7]},
    "list": {"payload_length": ["a", "b", "c"]},
    "entries": {"direction": [1]},
}


def table(flows, folder):
    """The flows in a file that nothing checked."""
    path = folder / "wrong.parquet"
    flows.to_parquet(path)
    return path


def _entries(good, folder):
    """What takes flows from Python: by name, a function of one table."""
    tokenizer = hf_ntg.FlowTokenizer.fit(good)
    return {
        "save_flows": lambda flows: save_flows(flows, folder / "x.parquet"),
        "save_flows of rows": lambda flows: save_flows(flows.to_list(), folder / "x.csv"),
        "save_flows in parts": lambda flows: save_flows(iter([good, flows]), folder / "x.jsonl"),
        "write_pcap": lambda flows: hf_ntg.write_pcap(flows, folder / "x.pcap"),
        "write_pcap of rows": lambda flows: hf_ntg.write_pcap(flows.to_list(), folder / "x.pcap"),
        "write_pcap in parts": lambda flows: hf_ntg.write_pcap([good, flows], folder / "x.pcap"),
        "split_flows": hf_ntg.split_flows,
        "evaluate_flows": lambda flows: hf_ntg.evaluate_flows(good, good, flows),
        "train": lambda flows: hf_ntg.train(flows, hf_ntg.TrainingConfig.recipe(output_dir=str(folder))),
        "tokenizer": hf_ntg.FlowTokenizer.fit,
        "encode_flows": tokenizer.encode_flows,
        "processor": hf_ntg.FlowSignalProcessor.fit,
        "baseline": make_baseline("replay").fit,
        "plot_flows": hf_ntg.plot_flows,
        "metric": lambda flows: load_metric("flow_jsd").compute(references=good, predictions=flows),
        "metric, its real side": lambda flows: load_metric("flow_jsd").compute(references=flows, predictions=good),
        "augment": lambda flows: hf_ntg.augment(flows, "loss", per_class=20),
        "augment, its unlabelled side": lambda flows: hf_ntg.augment(good, "loss", per_class=20, unlabelled=flows),
        "classifier": lambda flows: hf_ntg.FewFlowsClassifier().fit(flows),
        "study": lambda flows: run_study([str(table(flows, folder))], folder / "study", QUICK),
        "page": lambda flows: read_upload(table(flows, folder), ["a"]),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("said", _WRONG)
def test_every_entry_refuses_what_load_flows_refuses_in_one_line(tmp_path, said):
    good, wrong = Dataset.from_list([_GOOD] * 8), Dataset.from_list([_GOOD | _WRONG[said]] * 8)
    for name, entry in _entries(good, tmp_path).items():
        with pytest.raises(hf_ntg.InputError, match=said) as refused:
            entry(wrong)
        assert "\n" not in str(refused.value), name
