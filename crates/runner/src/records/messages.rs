//! The protocol-buffer messages of `TensorBoard`, built in one place.

use protobuf::{Message, ProtobufResult, RepeatedField};
use tensorboard_proto::plugin_hparams::HParamsPluginData;
use tensorboard_proto::summary::{Summary, Summary_Image, Summary_Value, SummaryMetadata, SummaryMetadata_PluginData};
use tensorboard_proto::tensor::TensorProto;
use tensorboard_proto::tensor_shape::{TensorShapeProto, TensorShapeProto_Dim};
use tensorboard_proto::types::DataType;

use super::histogram::Histogram;

/// Tags under which `TensorBoard`'s HPARAMS plugin looks.
pub(super) const SESSION_START_TAG: &str = "_hparams_/session_start_info";
pub(super) const SESSION_END_TAG: &str = "_hparams_/session_end_info";
/// Tag under which `TensorBoard`'s CUSTOM SCALARS plugin looks.
const LAYOUT_TAG: &str = "custom_scalars__config__";

/// `SummaryMetadata.data_class` is newer than the messages of `tensorboard-proto`, so it is sent as a field they do not know.
const DATA_CLASS_FIELD: u32 = 4;
const DATA_CLASS_TENSOR: u64 = 2;

pub(super) fn scalar(tag: &str, value: f64) -> Summary_Value {
    let mut message = Summary_Value::new();
    message.set_tag(tag.to_string());
    message.set_simple_value(value as f32);
    message
}

pub(super) fn histogram(tag: &str, histogram: &Histogram) -> Summary_Value {
    let mut message = Summary_Value::new();
    message.set_tag(tag.to_string());
    message.set_histo(histogram.to_message());
    message
}

pub(super) fn image(tag: &str, width: i32, height: i32, channels: i32, png: &[u8]) -> Summary_Value {
    let mut picture = Summary_Image::new();
    picture.set_width(width);
    picture.set_height(height);
    picture.set_colorspace(channels);
    picture.set_encoded_image_string(png.to_vec());
    let mut message = Summary_Value::new();
    message.set_tag(tag.to_string());
    message.set_image(picture);
    message
}

pub(super) fn text(tag: &str, markdown: &str) -> Summary_Value {
    with_plugin(tag, "text", Vec::new(), string_tensor(markdown.as_bytes().to_vec()))
}

pub(super) fn layout(layout: &impl Message) -> ProtobufResult<Summary_Value> {
    Ok(with_plugin(LAYOUT_TAG, "custom_scalars", Vec::new(), string_tensor(layout.write_to_bytes()?)))
}

pub(super) fn hparams(tag: &str, data: &HParamsPluginData) -> ProtobufResult<Summary_Value> {
    Ok(with_plugin(tag, "hparams", data.write_to_bytes()?, empty_tensor()))
}

pub(super) fn summary(values: Vec<Summary_Value>) -> Summary {
    let mut message = Summary::new();
    message.set_value(RepeatedField::from_vec(values));
    message
}

fn with_plugin(tag: &str, plugin: &str, content: Vec<u8>, tensor: TensorProto) -> Summary_Value {
    let mut data = SummaryMetadata_PluginData::new();
    data.set_plugin_name(plugin.to_string());
    data.set_content(content);
    let mut metadata = SummaryMetadata::new();
    metadata.set_plugin_data(data);
    metadata.mut_unknown_fields().add_varint(DATA_CLASS_FIELD, DATA_CLASS_TENSOR);
    let mut message = Summary_Value::new();
    message.set_tag(tag.to_string());
    message.set_metadata(metadata);
    message.set_tensor(tensor);
    message
}

/// One string, as a tensor without dimensions.
fn string_tensor(bytes: Vec<u8>) -> TensorProto {
    let mut tensor = TensorProto::new();
    tensor.set_dtype(DataType::DT_STRING);
    tensor.set_tensor_shape(TensorShapeProto::new());
    tensor.set_string_val(RepeatedField::from_vec(vec![bytes]));
    tensor
}

/// No numbers at all: hparams live in the metadata, and a value needs a tensor to be one.
fn empty_tensor() -> TensorProto {
    let mut shape = TensorShapeProto::new();
    shape.set_dim(RepeatedField::from_vec(vec![TensorShapeProto_Dim::new()]));
    let mut tensor = TensorProto::new();
    tensor.set_dtype(DataType::DT_FLOAT);
    tensor.set_tensor_shape(shape);
    tensor
}
