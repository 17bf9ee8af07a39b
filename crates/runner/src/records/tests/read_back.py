"""Prints as JSON what TensorBoard itself reads from a folder of runs, through the interfaces its tabs use.

Usage: python read_back.py LOGDIR
"""

import json
import struct
import sys

from tensorboard import context
from tensorboard.backend.event_processing import data_provider, plugin_event_multiplexer
from tensorboard.data import provider
from tensorboard.plugins import base_plugin
from tensorboard.plugins.custom_scalar import custom_scalars_plugin
from tensorboard.plugins.hparams import api_pb2, backend_context, get_experiment, list_session_groups

logdir = sys.argv[1]
multiplexer = plugin_event_multiplexer.EventMultiplexer()
multiplexer.AddRunsFromDirectory(logdir)
multiplexer.Reload()
data = data_provider.MultiplexerDataProvider(multiplexer, logdir)
request = context.RequestContext()
everything = {"experiment_id": "", "downsample": 100000}


def number(value):
    return repr(float(value))


scalars = {
    run: {tag: [[p.step, number(p.value)] for p in points] for tag, points in tags.items()}
    for run, tags in data.read_scalars(request, plugin_name="scalars", **everything).items()
}
histograms = {
    run: {tag: [[p.step, p.numpy.tolist()] for p in points] for tag, points in tags.items()}
    for run, tags in data.read_tensors(request, plugin_name="histograms", **everything).items()
}
texts = {
    run: {tag: [[p.step, p.numpy.item().decode()] for p in points] for tag, points in tags.items()}
    for run, tags in data.read_tensors(request, plugin_name="text", **everything).items()
}


def blob(reference):
    return data.read_blob(request, blob_key=reference.blob_key)


def picture(datum):
    """Width and height as the event says, then as the PNG says."""
    width, height, png = [blob(reference) for reference in datum.values]
    return [datum.step, int(width), int(height), *struct.unpack(">II", png[16:24])]


images = {
    run: {tag: [picture(datum) for datum in data_of_tag] for tag, data_of_tag in tags.items()}
    for run, tags in data.read_blob_sequences(request, plugin_name="images", **everything).items()
}

tb = base_plugin.TBContext(data_provider=data, logdir=logdir, plugin_name_to_instance={})
hparams = backend_context.Context(tb)
groups = list_session_groups.Handler(
    request,
    hparams,
    "",
    api_pb2.ListSessionGroupsRequest(
        allowed_statuses=[
            api_pb2.STATUS_UNKNOWN,
            api_pb2.STATUS_SUCCESS,
            api_pb2.STATUS_FAILURE,
            api_pb2.STATUS_RUNNING,
        ],
        start_index=0,
        slice_size=100,
        aggregation_type=api_pb2.AGGREGATION_AVG,
    ),
).run()
experiment = get_experiment.Handler(request, hparams, "", api_pb2.GetExperimentRequest()).run()


def cell(value):
    return getattr(value, value.WhichOneof("kind"))


print(
    json.dumps(
        {
            "scalars": scalars,
            "histograms": histograms,
            "texts": texts,
            "images": images,
            "layout": json.loads(custom_scalars_plugin.CustomScalarsPlugin(tb).layout_impl(request, "") or "{}"),
            "columns": {info.name: info.differs for info in experiment.hparam_infos},
            "metrics": sorted(info.name.tag for info in experiment.metric_infos),
            "groups": {
                group.name: {
                    "hparams": {name: cell(value) for name, value in group.hparams.items()},
                    "metrics": {value.name.tag: number(value.value) for value in group.metric_values},
                    "sessions": {session.name: api_pb2.Status.Name(session.status) for session in group.sessions},
                }
                for group in groups.session_groups
            },
        },
        sort_keys=True,
    )
)
