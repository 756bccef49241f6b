"""The classifiers Sightline knows: four networks of Keras, where their published weights are, and ImageNet's names.

Keras publishes the weights, trained on ImageNet (ILSVRC 2012), as one HDF5 file for each network, with an MD5 for all
but MobileNetV2; they are kept in the cache folder of the detectors' weights. Weights of one's own are HDF5 files as
Keras 2 (``.h5``) and Keras 3 (``.weights.h5``, ``.h5``) save them, of any number of classes.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path

from pipeline.did_you_mean import did_you_mean
from pipeline.errors import ConfigError, ModelError
from pipeline.models.cache import cache_folder
from pipeline.models.downloader import download, showing_progress

logger = logging.getLogger(__name__)

_HOST = "https://storage.googleapis.com/tensorflow/keras-applications"


@dataclass(frozen=True, slots=True)
class ClassifierModel:
    """A classifier that can be asked for by name.

    Attributes:
        name: as in ``--model``.
        module, function: where ``tf.keras.applications`` has the network and its preprocessing.
        size: height and width of the network's input in pixels.
        url: the published weights.
        md5: of that file, hexadecimal, as Keras states it; None where it states none.
    """

    name: str
    module: str
    function: str
    size: int
    url: str
    md5: str | None


_MODELS = {
    model.name: model
    for model in (
        ClassifierModel(
            "mobilenetv2",
            "mobilenet_v2",
            "MobileNetV2",
            224,
            f"{_HOST}/mobilenet_v2/mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224.h5",
            None,
        ),
        ClassifierModel(
            "resnet50",
            "resnet",
            "ResNet50",
            224,
            f"{_HOST}/resnet/resnet50_weights_tf_dim_ordering_tf_kernels.h5",
            "2cb95161c43110f7111970584f804107",
        ),
        ClassifierModel(
            "inceptionv3",
            "inception_v3",
            "InceptionV3",
            299,
            f"{_HOST}/inception_v3/inception_v3_weights_tf_dim_ordering_tf_kernels.h5",
            "9a0d58056eeedaa3f26cb7ebd46da564",
        ),
        ClassifierModel(
            "densenet121",
            "densenet",
            "DenseNet121",
            224,
            f"{_HOST}/densenet/densenet121_weights_tf_dim_ordering_tf_kernels.h5",
            "9d60b8095a5708f2dcce2bca79d332c7",
        ),
    )
}


def classifier_names() -> tuple[str, ...]:
    """Names that `find_classifier` knows."""
    return tuple(_MODELS)


def find_classifier(name: str) -> ClassifierModel:
    """The classifier of that name; capitals and hyphens don't matter.

    Raises:
        ConfigError: there is none; the message lists those that are meant most likely.
    """
    plain = name.lower().replace("-", "").replace("_", "")
    if plain in _MODELS:
        return _MODELS[plain]
    hint = did_you_mean(plain, _MODELS) or f"known are {', '.join(_MODELS)}."
    raise ConfigError(f"model: there is no classifier called {name!r}; {hint}")


def find_classifier_weights(model: ClassifierModel, path: str | Path | None = None) -> Path:
    """The file of a classifier's weights; downloads the published one unless a path is given or the cache has it.

    Raises:
        ConfigError: no file at ``path``.
        ModelError: the published file can't be got; the message says what to do by hand.
    """
    if path is not None:
        chosen = Path(path).expanduser()
        if not chosen.is_file():
            kind = "a folder, not a file" if chosen.is_dir() else "not there"
            raise ConfigError(f"{chosen}: the weights of {model.name} are {kind}; check the path given as weights.")
        return chosen
    cached = cached_classifier_weights(model)
    return cached if is_published(model, cached) else _download(model, cached)


def cached_classifier_weights(model: ClassifierModel) -> Path:
    """Where the published weights are in the cache folder, or would be put."""
    return cache_folder() / model.url.rpartition("/")[2]


def local_classifier_weights(name: str) -> Path | None:
    """The published weights of a classifier, where this machine has them; looks nowhere else.

    Raises:
        ConfigError: no classifier of that name.
    """
    path = cached_classifier_weights(find_classifier(name))
    return path if path.is_file() else None


def is_published(model: ClassifierModel, path: Path) -> bool:
    """Whether the file is there and has the MD5 that Keras states; says so in the log where it is there but has not."""
    if not path.is_file():
        return False
    if model.md5 is None or _md5(path) == model.md5:
        return True
    logger.warning("%s is not the published file (its MD5 differs) and is not used", path)
    return False


def _md5(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "md5").hexdigest()


def _download(model: ClassifierModel, target: Path) -> Path:
    logger.info("downloading the weights of %s from %s", model.name, model.url)
    # Keras states MD5s, so the file waits under a name of its own until that is looked at.
    unchecked = target.with_name(f"{target.name}.unchecked")
    try:
        with showing_progress(target.name, None) as progress:
            download([model.url], unchecked, size=None, sha256="", progress=progress)
        if model.md5 is not None and _md5(unchecked) != model.md5:
            unchecked.unlink()
            raise ModelError("what came is not the published file")
        unchecked.replace(target)
    except ModelError as error:
        raise ModelError(
            f"{model.name}: can't download {target.name} ({error}). Get it where there is a network from {model.url} "
            f"and put it at {target}, or pass weights of your own (--weights FILE.h5)."
        ) from error
    return target
