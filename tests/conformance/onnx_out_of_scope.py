"""What of the suite is out of scope, and why: one table, each entry of which is tested.

A case is out of scope if it needs an operator, or a type of values, that minires does not have, or
for the reason beside its name. Whatever is in none of these tables must pass; whatever is in one
must not.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from .onnx_suite import Case

# What minires lacks, by the name that it would have: PyTorch's. Once there is such a name in
# mr.ops, mr.nn or mr.optim, a test asks for the operator's adapter.
MISSING = {
    "Acos": "acos",
    "AffineGrid": "affine_grid",
    "Asin": "asin",
    "Atan": "atan",
    "Attention": "scaled_dot_product_attention",
    "Bernoulli": "bernoulli",
    "BitShift": "bitwise_left_shift",
    "CumProd": "cumprod",
    "CumSum": "cumsum",
    "DFT": "fft",
    "DeformConv": "deform_conv2d",
    "Det": "det",
    "GRU": "GRU",
    "GridSample": "grid_sample",
    "LSTM": "LSTM",
    "LpPool": "lp_pool2d",
    "MaxUnpool": "max_unpool2d",
    "NonMaxSuppression": "nms",
    "NonZero": "nonzero",
    "RNN": "RNN",
    "RandomUniformLike": "rand_like",
    "ReduceProd": "prod",
    "RoiAlign": "roi_align",
    "Round": "round",
    "STFT": "stft",
    "Scatter": "scatter",
    "ScatterElements": "scatter",
    "ScatterND": "index_put",
    "TensorScatter": "index_copy",
    "TopK": "topk",
    "Unique": "unique",
    "ai.onnx.preview.training.Adagrad": "Adagrad",
}

_SUBJECTS = {
    "branches and loops in the graph; in minires they are Python's": ["If", "Loop", "Scan"],
    "lists of tensors and values that may be absent; in minires they are Python's": [
        *("OptionalGetElement", "OptionalHasElement", "SequenceEmpty", "SequenceInsert"),
        *("SequenceLength", "SequenceMap", "SplitToSequence"),
    ],
    "text": [
        *("RegexFullMatch", "StringConcat", "StringNormalizer", "StringSplit", "TfIdfVectorizer"),
        "ai.onnx.ml.LabelEncoder",
    ],
    "quantised integers": [
        *("ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger"),
        *("QLinearConv", "QLinearMatMul", "QuantizeLinear"),
    ],
    "trees and features of classical learning": [
        *("ai.onnx.ml.ArrayFeatureExtractor", "ai.onnx.ml.Binarizer", "ai.onnx.ml.TreeEnsemble"),
    ],
    "sequence models: variants of attention, positions, sequences turned round": [
        *("LinearAttention", "ReverseSequence", "RotaryEmbedding"),
        "ai.onnx.preview.FlexAttention",
    ],
    "audio: spectra and their windows": [
        *("BlackmanWindow", "HammingWindow", "HannWindow", "MelWeightMatrix"),
    ],
    "image files; minires reads none inside a network": ["ImageDecoder"],
    "cutting and framing images in one; minires has indexing and pad": ["CenterCropPad"],
    "the same bits read as another dtype": ["BitCast"],
}
FOREIGN = {name: subject for subject, names in _SUBJECTS.items() for name in names}

_NARROW = "NumPy has no such dtype, and so minires none"
TYPES = {
    **dict.fromkeys(("BFLOAT16", "FLOAT4E2M1", "FLOAT8E8M0"), _NARROW),
    **dict.fromkeys(("FLOAT8E4M3FN", "FLOAT8E4M3FNUZ", "FLOAT8E5M2", "FLOAT8E5M2FNUZ"), _NARROW),
    **dict.fromkeys(("INT2", "INT4", "UINT2", "UINT4"), _NARROW),
    "STRING": "text; minires computes with bool, int and float",
    "optional": "a value that may be absent; in minires that is Python's None",
    "sequence": "a list of tensors; in minires that is Python's list",
}

_IMAGES = "minires convolves and pools images, not volumes"
_NO_DILATION = "avg_pool2d has no dilation, as PyTorch's"
_NO_VALUES = "amax and amin refuse to choose from no values, as PyTorch's"
_NEAREST = (
    "the nearest pixel is the one that a new pixel begins in, as PyTorch's; ONNX's own roundings"
    " take others"
)
CASES = {
    "test_attention_4d_causal_fp16_expanded": (
        "float16 rounded at other steps than the expected values, which lie further from the same"
        " computed in float64"
    ),
    "test_averagepool_2d_dilations": _NO_DILATION,
    "test_averagepool_3d_*": _IMAGES,
    "test_col2im_5d": _IMAGES,
    "test_convtranspose_3d": _IMAGES,
    "test_eyelike_populate_off_main_diagonal": "the ones of eye are on its main diagonal",
    "test_maxpool_3d_*": _IMAGES,
    "test_reduce_max_empty_set*": _NO_VALUES,
    "test_reduce_min_empty_set": _NO_VALUES,
    "test_resize_*_antialias": "minires does not smooth what it makes smaller",
    "test_resize_*_cubic*": "minires interpolates linearly, not by cubics",
    "test_resize_downsample_*_nearest*": _NEAREST,
    "test_resize_downsample_scales_linear_align_corners": (
        "the corners of 2.4 pixels, of which two are there"
    ),
    "test_resize_*_half_pixel_symmetric": "resized images are not centred anew",
    "test_resize_*_pytorch_half_pixel": (
        "a single pixel is taken from the middle, as PyTorch does by now, not from the corner"
    ),
    "test_resize_tf_crop_and_resize*": "cutting and resizing images in one",
    "test_resize_upsample_sizes_nearest*": _NEAREST,
    "test_training_dropout": "which values are dropped is another generator's choice",
    "test_training_dropout_default*": "which values are dropped is another generator's choice",
    "test_training_dropout_mask": "which values are dropped is another generator's choice",
}


def operator_reason(operator: str) -> str | None:
    """Why minires does not have the operator; None where the tables do not name it."""
    if operator in MISSING:
        return f"minires has no `{MISSING[operator]}`"
    return FOREIGN.get(operator)


def reason(case: Case) -> str | None:
    """Why the case is out of scope; None if it must pass."""
    for operator in case.operators:
        if why := operator_reason(operator):
            return why if operator == case.operator else f"its graph needs {operator}: {why}"
    for kind in sorted(case.types & TYPES.keys()):
        return f"{kind}: {TYPES[kind]}"
    for pattern, why in CASES.items():
        if fnmatchcase(case.name, pattern):
            return why
    return None
