# Copyright 2026 The nasfpn_tf Authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""Writes the model directory of a detector that others trained."""

import contextlib
import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

from nasfpn_tf import whole_file
from nasfpn_tf.artifacts import layout
from nasfpn_tf.config import checking
from nasfpn_tf.modeling import detector
from nasfpn_tf.modeling.weights import cache, known
from nasfpn_tf.modeling.weights.load_report import LoadReport
from nasfpn_tf.public_weights import automl, coco, download, mmdet, model_garden, object_detection_api, tpu
from nasfpn_tf.public_weights.contents import Contents
from nasfpn_tf.training import artifacts, checkpoints
from nasfpn_tf.training import params as params_lib
from nasfpn_tf.training.recipe import Recipe

SOURCE_FILE = 'source.json'
_ARCHIVES = ('.tar', '.tar.gz', '.tgz', '.tar.bz2', '.tar.xz', '.zip')
_IMAGE_SIZE = 640


@dataclasses.dataclass(frozen=True)
class Framework:
  """Code whose checkpoints can be imported.

  Attributes:
    code: where it is published.
    open_checkpoint: path, and `task.model` where nothing beside it tells, to its contents.
  """

  code: str
  open_checkpoint: Callable[[str, Mapping[str, Any] | None], Contents]


FRAMEWORKS = {
  'tpu': Framework('https://github.com/tensorflow/tpu/tree/master/models/official/detection', tpu.open_checkpoint),
  'model_garden': Framework(
    'https://github.com/tensorflow/models/tree/master/official/vision', model_garden.open_checkpoint
  ),
  'mmdet': Framework('https://github.com/open-mmlab/mmdetection/tree/main/configs/nas_fpn', mmdet.open_checkpoint),
  'object_detection_api': Framework(
    'https://github.com/tensorflow/models/tree/master/research/object_detection', object_detection_api.open_checkpoint
  ),
  'automl': Framework('https://github.com/google/automl/tree/master/efficientdet', automl.open_checkpoint),
}


def import_checkpoint(
  framework: str,
  checkpoint: str,
  output_dir: str,
  input_size: tuple[int, int] = (640, 640),
  origin: Mapping[str, Any] | None = None,
  known_model: Mapping[str, Any] | None = None,
) -> LoadReport:
  """Writes params.yaml, topology.json, labels.json, source.json and a checkpoint, as a training does.

  Args:
    framework: key of `FRAMEWORKS`.
    checkpoint: what its code wrote: prefix of a checkpoint, or the directory with it.
    output_dir: the model directory; it must be empty or not exist.
    input_size: height and width of the images that the model was trained on; no variable tells.
    origin: more for source.json, such as address and published AP.
    known_model: `task.model` where nothing beside the checkpoint tells.

  Returns:
    Which variables were set.

  Raises:
    FileNotFoundError: there is no such checkpoint.
    ValueError: it is damaged, an archive or of another model, or `output_dir` is not empty; nothing is written then.
  """
  check_output_dir(output_dir)
  if os.path.isfile(checkpoint) and checkpoint.lower().endswith(_ARCHIVES):
    raise ValueError(f'{checkpoint} is an archive: unpack it and give its directory as --checkpoint.')
  source = FRAMEWORKS[framework]
  with _published_shapes(framework, checkpoint):
    model, params, contents, report = _built(source, checkpoint, input_size, known_model)

  known_labels = coco.labels() if params.task.model.num_classes == coco.NUM_IDS + 1 else None
  recipe = Recipe(params, params, known_labels, None, None, None, ())
  description = {
    'framework': framework,
    'code': source.code,
    'checkpoint': os.path.basename(checkpoint.rstrip('/')),
    **(origin or {}),
  }
  items = {name: item for name, item in model.checkpoint_items.items() if name in (contents.items or (name,))}
  with _whole_directory(output_dir) as place:
    artifacts.write_description(place, recipe, overwrite=True)
    checkpoints.write_json(os.path.join(place, SOURCE_FILE), description)
    written = tf.train.Checkpoint(**items)
    manager = tf.train.CheckpointManager(written, place, max_to_keep=1, checkpoint_name=checkpoints.NAME)
    manager.save(checkpoint_number=0)
  return report


def check_output_dir(output_dir: str) -> None:
  """Refuses a directory that holds anything: what is there would be mixed with the imported model or replaced by it.

  Raises:
    ValueError: it is not empty, or TensorFlow would take its name for a pattern.
    OSError: it cannot be made.
  """
  layout.check_path(output_dir)
  whole_file.check_place(output_dir, is_directory=True)
  found = tf.io.gfile.listdir(output_dir) if tf.io.gfile.isdir(output_dir) else []
  if found:
    what = 'checkpoints already' if checkpoints.available(output_dir) else f'other files ({sorted(found)[0]})'
    raise ValueError(f'{output_dir} holds {what}: give a new directory, or remove it to import anew.')


@contextlib.contextmanager
def _whole_directory(output_dir: str) -> Iterator[str]:
  """Gives a directory beside `output_dir` that gets its name when the block ends, and is removed if it fails."""
  output_dir = output_dir if '://' in output_dir else os.path.realpath(output_dir)
  place = f'{output_dir}.partial'
  if tf.io.gfile.exists(place):
    tf.io.gfile.rmtree(place)  # Of an import that was killed.
  try:
    yield place
    if tf.io.gfile.isdir(output_dir):
      tf.io.gfile.rmtree(output_dir)  # It is empty.
    tf.io.gfile.rename(place, output_dir)
  except BaseException:
    if tf.io.gfile.exists(place):
      tf.io.gfile.rmtree(place)
    raise


def _built(source: Framework, checkpoint: str, input_size: tuple[int, int], known_model: Mapping[str, Any] | None):
  """Builds the detector of a checkpoint and sets its weights; returns it, its configuration, contents and report."""
  contents = source.open_checkpoint(checkpoint, known_model)
  settings = {'input_size': [*input_size, 3], **contents.settings}
  parser = {'parser': {'keep_aspect_ratio': contents.keep_aspect_ratio}}
  task = {'model': settings, 'train_data': parser, 'validation_data': parser}
  params = params_lib.load_params('nasfpn_retinanet', params_override={'task': task})
  model = detector.build_detector(params.task.model)
  report = contents.fill(model)
  return model, params, contents, report


@contextlib.contextmanager
def _published_shapes(framework: str, checkpoint: str) -> Iterator[None]:
  """Names the checkpoint where its variables or its params.yaml have shapes and values that no model has.

  Settings are read off the shapes of variables and go through the whole configuration and every layer; what these say
  of a value that is none does not tell where it is from.
  """
  try:
    yield
  except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as error:
    text = ' '.join(str(error).split())
    known = [checkpoint.removesuffix('.index').rstrip('/'), 'params.yaml', 'pipeline.config', 'model.input_size']
    if isinstance(error, ValueError) and any(name in text for name in known):
      raise
    reason = text if isinstance(error, ValueError) else f'{type(error).__name__}: {text}'
    raise ValueError(
      f'checkpoint {checkpoint!r} cannot be imported with --from={framework} ({reason[:200]}): its variables or'
      ' settings are not those of a model that docs/weights.md lists.'
    ) from error


def import_published(
  framework: str | None = None,
  output_dir: str | None = None,
  *,
  checkpoint: str | None = None,
  url: str | None = None,
  download_dir: str = 'downloads',
  image_size: int | None = None,
) -> tuple[str, LoadReport]:
  """Imports a checkpoint that is here or that is downloaded; as `import_checkpoint`.

  Args:
    framework: whose checkpoint it is; None takes that of the known name.
    output_dir: the model directory; None takes that of the known name in the cache, where `weights='coco'` and
      `task.init_checkpoint` look for it.
    checkpoint: prefix or directory; with a known name as `url`, that checkpoint, which is not downloaded again.
    url: key of `known.KNOWN`, or the address of a tar archive or a .pth file.
    download_dir: where the archive is kept and unpacked, in a directory of its name.
    image_size: side of the images; None takes that of the known name, else 640.

  Returns:
    The model directory, and which variables were set.

  Raises:
    OSError: the download fails.
    ValueError: it is not said what to import or where to, or the name is not known.
  """
  entry, origin = None, {}
  if url is not None:
    entry = known.KNOWN.get(url)
    if entry is None and '://' not in url:
      raise ValueError(f'--url {url!r} is neither an address nor a known name; {checking.nearest(url, known.KNOWN)}')
    address = entry.url if entry else url
    origin = {'url': address}
    if entry:
      origin |= {'name': url, 'data': entry.data, 'published': entry.published, 'note': entry.note}
  if checkpoint is None and url is None:
    raise ValueError('give --url, or --checkpoint and --from.')
  if checkpoint is not None and url is not None and entry is None:
    raise ValueError('give --checkpoint or the address in --url, and not both.')
  if entry and framework not in (None, entry.framework):
    raise ValueError(f'--url {url!r} is of {entry.framework}, not of {framework}: leave out --from.')
  framework = framework or (entry and entry.framework)
  if framework is None:
    raise ValueError(f'--from is missing: whose checkpoint it is; {", ".join(FRAMEWORKS)}.')
  if output_dir is None:
    if entry is None:
      raise ValueError('--output_dir is missing: only a known name as --url has a place in the cache.')
    output_dir = cache.path_of(url)
  check_output_dir(output_dir)
  if checkpoint is None:
    archive = download.fetch(address, download_dir)
    checkpoint = archive
    download.check_is_file(archive)
    if not archive.endswith('.pth'):
      checkpoint = download.unpack(archive, archive.removesuffix('.gz').removesuffix('.tar') + '.unpacked')
  size = image_size or (entry.image_size if entry else _IMAGE_SIZE)
  if entry and entry.data == known.IMAGENET:
    size = _IMAGE_SIZE  # Of the detector around it.
  return output_dir, import_checkpoint(
    framework, checkpoint, output_dir, (size, size), origin, entry.model if entry else None
  )
