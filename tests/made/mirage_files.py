"""Parts of MIRAGE files: names, keys and flows."""

NAME = "1539866692_com.app.one_MIRAGE-2019_traffic_dataset_labeled_biflows.json"
NAME_2022 = "1619005750_com.app.one_mirage2020dataset_labeled_biflows_all_packets_encryption_metadata.json"


def flow(label="com.app.one", way="exact", directions=(0, 1, 0), **about):
    size = len(directions)
    packets = {
        "packet_dir": list(directions),
        "L4_payload_bytes": [0, 1448, 517][:size],
        "iat": [0, 0.25, 0.5][:size],
        "TCP_win_size": [65535, 1, 2][:size],
        "L4_raw_payload": [[], [1, 2], [3]][:size],
    }
    return {
        "packet_data": packets,
        "flow_metadata": {"BF_label": label, "BF_labeling_type": way, "BF_num_packets": 40} | about,
    }


def key(port=4000):
    return f"10.0.0.1,{port},10.0.0.2,443,6"
