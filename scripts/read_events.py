"""Prints, as JSON, what TensorBoard's own reader finds in the event files of one run.

    .venv/bin/python scripts/read_events.py RUN

    {"scalars":    {tag: [[step, value], …]},
     "images":     {tag: [{"step": …, "width": …, "height": …}, …]},
     "histograms": {tag: number of histograms},
     "text":       {tag: the last text},
     "hparams":    {"experiment": …, "session_start": {"hparams": {name: value}, …}, "session_end": …}}

The reader drops what a restart made obsolete, as TensorBoard does. Values that JSON has no number for are the texts "nan", "inf"
and "-inf". The size of a picture is read from the picture itself; its own record must say the same.
"""

import json
import math
import struct
import sys
from pathlib import Path

from google.protobuf import json_format
from tensorboard.backend.event_processing import plugin_event_accumulator
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.hparams import plugin_data_pb2
from tensorboard.util import tensor_util

EVERYTHING = {"scalars": 0, "images": 0, "histograms": 0, "tensors": 0}


def number(value):
    value = float(value)
    return value if math.isfinite(value) else str(value)


def picture_size(png):
    """Width and height that a PNG's header states."""
    if png[:8] != b"\x89PNG\r\n\x1a\n" or png[12:16] != b"IHDR":
        raise ValueError("a picture is not a PNG")
    return struct.unpack(">II", png[16:24])


def picture(event):
    width, height, png = tensor_util.make_ndarray(event.tensor_proto)[:3]
    width, height = int(width), int(height)
    if (width, height) != picture_size(png):
        raise ValueError(f"the record of a picture says {width}×{height}, the picture {picture_size(png)}")
    return {"step": event.step, "width": width, "height": height}


def text(event):
    value = tensor_util.make_ndarray(event.tensor_proto)
    return "\n".join(part.decode() for part in value.reshape(-1))


def plain(message):
    """A message as a dictionary, with hyperparameters as plain values."""
    fields = json_format.MessageToDict(message, preserving_proto_field_name=True)
    if hasattr(message, "hparams"):
        values = ((name, json_format.MessageToDict(value)) for name, value in message.hparams.items())
        fields["hparams"] = {name: value if not isinstance(value, float) else number(value) for name, value in values}
    return fields


def hparams(contents):
    kinds = {"experiment": "experiment", "session_start_info": "session_start", "session_end_info": "session_end"}
    found = {}
    for content in contents.values():
        data = plugin_data_pb2.HParamsPluginData.FromString(content)
        kind = data.WhichOneof("data")
        found[kinds[kind]] = plain(getattr(data, kind))
    return found


def read(run):
    reader = plugin_event_accumulator.EventAccumulator(str(run), size_guidance=EVERYTHING, tensor_size_guidance=dict.fromkeys(
        ("scalars", "images", "histograms", "text", hparams_metadata.PLUGIN_NAME), 0))
    reader.Reload()

    def by_tag(plugin, convert):
        tags = reader.PluginTagToContent(plugin) if plugin in reader.ActivePlugins() else {}
        return {tag: convert(reader.Tensors(tag)) for tag in tags}

    return {
        "scalars": by_tag("scalars", lambda events: [
            [event.step, number(tensor_util.make_ndarray(event.tensor_proto))] for event in events]),
        "images": by_tag("images", lambda events: [picture(event) for event in events]),
        "histograms": by_tag("histograms", len),
        "text": by_tag("text", lambda events: text(events[-1])),
        "hparams": hparams(reader.PluginTagToContent("hparams") if "hparams" in reader.ActivePlugins() else {}),
    }


def main(arguments):
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__.strip())
        return 2
    run = Path(arguments[0])
    if not list(run.glob("*tfevents*")):
        print(f"error: {run}: no event files there", file=sys.stderr)
        return 2
    try:
        found = read(run)
    except ValueError as error:
        print(f"error: {run}: {error}", file=sys.stderr)
        return 1
    json.dump(found, sys.stdout, indent=1, allow_nan=False)
    print()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
