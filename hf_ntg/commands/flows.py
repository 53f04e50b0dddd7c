"""The commands `ntg import`, `ntg split` and `ntg export`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal, cast

import typer

from hf_ntg.commands.app import READ_IN_PART, Seed, app, number, say, show, show_table
from hf_ntg.errors import InputError
from hf_ntg.output_places import check_output_file, check_output_folder, refuse_overwriting
from hf_ntg.progress import Progress
from hf_ntg.ranges import COUNTS, PROCESSES, Range


@app.command("import")
def import_(
    sources: Annotated[
        list[str],
        typer.Argument(
            help="Captures, MIRAGE, CESNET or other tables (plain, gz, bz2, xz, zst or lz4), their folders, globs "
            "and zips; /dev/stdin."
        ),
    ],
    output: Annotated[Path, typer.Option(help="Parquet file to write.")],
    label: Annotated[str | None, typer.Option(help="Label of flows that no other rule fits.")] = None,
    label_by_folder: Annotated[bool, typer.Option(help="The name of a file's folder is its label.")] = False,
    label_by_file: Annotated[bool, typer.Option(help="The name of a file, without suffixes, is its label.")] = False,
    label_pattern: Annotated[str | None, typer.Option(help="Regular expression on the path; its group labels.")] = None,
    label_table: Annotated[
        Path | None,
        typer.Option(
            help="CSV: label, and capture or source, source_port, destination, destination_port and protocol."
        ),
    ] = None,
    label_sni: Annotated[
        Path | None, typer.Option(help="CSV with the columns suffix (of the TLS server name) and label.")
    ] = None,
    label_ndpi: Annotated[bool, typer.Option(help="Label by nDPI; needs nfstream.")] = False,
    labelled_only: Annotated[
        bool, typer.Option("--labelled-only", help="Leave out flows that no rule labels.")
    ] = False,
    max_packets: Annotated[int | None, number(COUNTS, "Packets to keep of each flow; all if not given.")] = None,
    idle_timeout: Annotated[
        float, number(Range(0, 10**9, above=True), "Captures: seconds of silence that end a flow.")
    ] = 120.0,
    decapsulate: Annotated[
        bool, typer.Option(help="Captures: look inside tunnels (VXLAN, Geneve, GTP-U, GRE, IP-in-IP).")
    ] = False,
    split_offload: Annotated[bool, typer.Option(help="Captures: cut offloaded packets to the size of frames.")] = False,
    drop_duplicates: Annotated[bool, typer.Option(help="Captures: leave out packets captured twice.")] = False,
    sni: Annotated[bool, typer.Option(help="Captures: keep TLS server names in a column 'sni'.")] = False,
    labelling: Annotated[
        str, typer.Option(help="MIRAGE: keep flows labelled 'exact', 'most-common' or 'all'.")
    ] = "all",
    background: Annotated[
        str, typer.Option(help="MIRAGE: 'label' other apps' flows, 'drop' or 'keep' them.")
    ] = "label",
    label_column: Annotated[str, typer.Option(help="CESNET: column with the class.")] = "APP",
    columns: Annotated[
        list[str] | None,
        typer.Option(
            help="Tables: OURS=THEIRS, such as payload_length=SIZES, inter_arrival_time=GAPS:ms, timestamp=TIMES:us or "
            "direction=DIR:out/in; OURS is one of flow_id, label, protocol, source_port, destination_port, "
            "payload_length, direction, inter_arrival_time or timestamp, tcp_window, packet_count, capture, source, "
            "destination, or ppi (one column of times, directions and lengths)."
        ),
    ] = None,
    keep_addresses: Annotated[str, typer.Option(help="'none', or 'hashed' with a key.")] = "none",
    address_key_file: Annotated[Path | None, typer.Option(help="Key of the hashes; random if not given.")] = None,
    num_proc: Annotated[int, number(PROCESSES, "Processes; the output does not depend on it.")] = 1,
) -> None:
    """Read captures and public data sets into a flow table. Exit code 3: some files are damaged, the rest is kept.

    Example: ntg import captures/ --label-by-folder --max-packets 32 --output flows.parquet
    """
    from hf_ntg.flows.importing import import_flows
    from hf_ntg.flows.labelling.labels import LabelRules
    from hf_ntg.flows.reading_options import ReadingOptions
    from hf_ntg.flows.table_in.mirage import Background, Labelling
    from hf_ntg.flows.table_in.tabular import parse_columns

    check_output_file(output)
    options = ReadingOptions(
        labels=LabelRules(
            label_table, label_sni, label_ndpi, label_pattern, label_by_folder, label, file=label_by_file
        ),
        labelled_only=labelled_only,
        max_packets=max_packets,
        idle_timeout=idle_timeout,
        decapsulate=decapsulate,
        split_offload=split_offload,
        drop_duplicates=drop_duplicates,
        read_sni=sni,
        labelling=cast(Labelling, labelling),
        background=cast(Background, background),
        label_column=label_column,
        columns=parse_columns(columns or []),
        keep_addresses=cast(Literal["none", "hashed"], keep_addresses),
        address_key=_read_key(address_key_file) if address_key_file else b"",
    )
    with Progress("reading", None, "byte") as bar:

        def progress(total: int, read: int) -> None:
            bar.expect(total)
            bar.update(read)

        report = import_flows(sources, output, options, num_proc=num_proc, progress=progress)
    for remark in report.remarks():
        say(remark)
    line = f"{output}: {report.flows} flows from {len(report.files)} files"
    facts: dict = {"path": str(output), "flows": report.flows, "files": len(report.files), "broken": len(report.broken)}
    facts["classes"] = {name: count for name, count in report.classes.items() if name is not None}
    facts["unlabelled"] = report.classes[None]
    show(line, **facts, remarks=list(report.remarks()))
    show_table(report.class_table())
    if report.broken:
        raise typer.Exit(READ_IN_PART)


def _read_key(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be opened ({error.strerror})") from error


@app.command()
def split(
    flows: Annotated[str, typer.Argument(help="Flow table, capture, 'loopback' or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="Folder for train.parquet and test.parquet, or for the folds.")],
    by: Annotated[str, typer.Option(help="'random' (stratified) or 'capture' (no capture on both sides).")] = "random",
    test_size: Annotated[float, number(Range(0, 1, above=True, below=True), "Share of the flows to test on.")] = 0.2,
    folds: Annotated[
        int | None,
        number(
            Range(2, 100, whole=True), "Make this many splits in folders fold-0, fold-1, …; every flow is tested once."
        ),
    ] = None,
    seed: Seed = 0,
) -> None:
    """Split flows into training and test flows.

    Example: ntg split flows.parquet --by capture --folds 5 --output flows/
    """
    check_output_folder(output)
    from hf_ntg.flows import load_flows, save_flows, split_flows
    from hf_ntg.flows.stream import in_pieces

    places = [output] if folds is None else [output / f"fold-{fold}" for fold in range(folds)]
    refuse_overwriting(flows, [place / f"{name}.parquet" for place in places for name in ("train", "test")])
    table = load_flows(flows)
    if folds is None:
        splits = {output: split_flows(table, by=by, test_size=test_size, seed=seed)}
    else:
        splits = {
            output / f"fold-{fold}": split_flows(table, by=by, seed=seed, fold=fold, folds=folds)
            for fold in range(folds)
        }
    for folder, parts in splits.items():
        for name, part in parts.items():
            path = save_flows(in_pieces(part), folder / f"{name}.parquet")
            classes = len(part.select_columns("label").unique("label"))
            show(f"{path}: {len(part)} flows, {classes} classes", path=str(path), flows=len(part), classes=classes)


@app.command()
def export(
    flows: Annotated[str, typer.Argument(help="Flow table, capture, 'loopback' or a data set on the Hub.")],
    output: Annotated[Path, typer.Option(help="The capture: .pcap or .pcapng; a new folder with --per-flow.")],
    per_flow: Annotated[bool, typer.Option("--per-flow", help="A .pcap a flow, in folders named by label.")] = False,
    rate: Annotated[
        float, number(Range(0, 10**9, above=True), "Flows that begin per second, on average (a Poisson process).")
    ] = 10.0,
    class_rate: Annotated[
        list[str] | None, typer.Option(help="LABEL=RATE: rate of one class; may be repeated.")
    ] = None,
    mix: Annotated[bool, typer.Option("--mix/--keep-order", help="Mix classes in time, or keep the order.")] = True,
    start: Annotated[
        str, typer.Option(help="Beginning: seconds since 1970, or a date such as 2024-05-01T08:00.")
    ] = "2020-01-01",
    view: Annotated[str | None, typer.Option(help="Packet view, 'payload' or 'all'; recognised if not given.")] = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete/--own-packets", help="Add handshakes, acknowledgements and closings that TCP flows lack."
        ),
    ] = True,
    mss: Annotated[
        int | None, number(Range(1, 65_535, whole=True), "Longest TCP payload of a packet; default 1460, IPv6 1440.")
    ] = None,
    mtu: Annotated[
        int, number(Range(1_280, 65_535, whole=True), "Longest IP packet; longer UDP datagrams become fragments.")
    ] = 1_500,
    clients: Annotated[str, typer.Option(help="Private network of any size, IPv4 or IPv6.")] = "10.0.0.0/8",
    servers: Annotated[str, typer.Option(help="Private network of any size, IPv4 or IPv6.")] = "203.0.113.0/24",
    payload: Annotated[str, typer.Option(help="'auto', 'random', 'tls' or 'zero'.")] = "auto",
    mark: Annotated[
        int,
        number(
            Range(0, 65_534, whole=True),
            "IPv4 identification of all packets, which marks them as synthetic; added packets have one more.",
        ),
    ] = 0x4E54,
    dns: Annotated[
        bool,
        typer.Option("--dns", help="Clients look up servers' names (under .example) first; class 'dns-lookup'."),
    ] = False,
    seed: Seed = 0,
) -> None:
    """Write flows as a capture of valid conversations, and a table of what each flow is (x.flows.csv).

    'ntg import' reads the labels back from that table, or from a .pcapng file itself.

    Example: ntg export synthetic.parquet --output synthetic.pcapng --rate 50
    """
    (check_output_folder if per_flow else check_output_file)(output)
    from hf_ntg.flows import write_pcap
    from hf_ntg.flows.capture_out.options import parse_rates, parse_start
    from hf_ntg.flows.disk_space import FILE_BYTES, LEAST_BYTES, flows_in_file, with_space_checked
    from hf_ntg.flows.stream import stream_flows

    settings: dict[str, Any] = {"rate": rate, "complete": complete, "mss": mss, "mtu": mtu}
    settings |= {"clients": clients, "servers": servers}
    settings |= {"class_rates": parse_rates(class_rate or []), "mix": mix, "start_time": parse_start(start)}
    settings |= {"payload": payload, "mark": mark, "dns": dns}
    least = FILE_BYTES if per_flow else LEAST_BYTES
    parts = with_space_checked(stream_flows(flows), output, flows_in_file(flows), least)
    report = write_pcap(parts, output, seed, per_flow=per_flow, view=view, quiet=False, **settings)
    show(f"{output}: {report}", path=str(output), report=str(report))
