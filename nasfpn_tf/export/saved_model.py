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

"""Exports SavedModels in TensorFlow Serving's layout, verified against the Keras model before they are published.

`export_dir/<version>/` holds saved_model.pb and variables/ (frozen: the weights are in saved_model.pb, and once more in
assets.extra/ for whoever wants to export again or to train on), and beside them, and again as assets, params.yaml (the
experiment), topology.json (the pyramid) and labels.json (what the classes mean); export.json says what was checked.
"""

import gc
import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import yaml
from absl import logging

from nasfpn_tf import processor, topology, whole_file
from nasfpn_tf.artifacts import layout, signatures
from nasfpn_tf.data.records import label_names
from nasfpn_tf.export import anytime_module, module, verification, warmup
from nasfpn_tf.export.source import Source
from nasfpn_tf.modeling import precision

WEIGHTS = ('auto', 'frozen', 'variable')
# Constants are copied for every signature, and often until the export is checked: 7 GB in all at half of this.
MOST_FROZEN_BYTES = 2**30


def export_saved_model(
  source: Source,
  export_dir: str,
  *,
  version: int | None = None,
  input_type: str = 'image_bytes',
  weights: str = 'auto',
  batch_size: int | None = None,
  images: Sequence[np.ndarray] = (),
  dtype: str = precision.FLOAT32,
  accept: Callable[[str], Mapping[str, Any]] | None = None,
) -> str:
  """Writes `export_dir/<version>` and returns its path.

  The files are written to a hidden directory, loaded, run on `images` and compared with the model, and renamed only
  then, so that a server that watches `export_dir` sees only complete, verified versions.

  Args:
    source: the detector.
    export_dir: where the versions lie; on a local disk.
    version: number of the version; None: one more than the highest there is.
    input_type: signature that is also `serving_default`, one of `signatures.INPUT_TYPES`.
    weights: 'frozen' stores them as constants of the graph, which is faster on CPUs, 'variable' as variables; 'auto' is
      'frozen' unless the constants of all signatures come to more than `MOST_FROZEN_BYTES`.
    batch_size: number of images in a request; None: any number.
    images: uint8 [height, width, 3] images to check with; without any, two photographs.
    dtype: 'float32' or 'bfloat16', in which the network computes, or 'auto': what is faster on this machine, and
      float32 where bfloat16 is refused. Inputs and outputs of the signatures are float32 in either.
    accept: called with the path of the finished SavedModel before it gets its name; may raise a ValueError, then it is
      refused. What it returns goes into export.json, too. Without it, detections in bfloat16 are compared with the
      model's in float32.

  Raises:
    FileExistsError: the version exists.
    VerificationError: weights are not finite, or the export disagrees with the model. Nothing is left behind.
    ValueError: an argument is invalid.
  """
  if '://' in export_dir:
    raise ValueError(f'{export_dir}: exports are verified on a local disk; export to one and copy the result there.')
  layout.check_path(export_dir)
  version = layout.next_version(export_dir) if version is None else version
  if weights not in WEIGHTS:
    raise ValueError(f'weights {weights!r} is not one of {", ".join(WEIGHTS)}.')
  if version < 0:
    raise ValueError(f'version {version}: TensorFlow Serving takes whole numbers from 0.')
  if dtype not in precision.DTYPES:
    raise ValueError(f'dtype {dtype!r} is not one of {", ".join(precision.DTYPES)}.')
  target = os.path.join(export_dir, str(version))
  if os.path.exists(target):
    raise FileExistsError(f'{target} exists; leave the version out to get the next free number.')
  reference = verification.reference(source, images)
  if weights == 'auto':
    weights = 'frozen' if _constants_bytes(source) <= MOST_FROZEN_BYTES else 'variable'
  frozen = weights == 'frozen'
  is_free, reason = dtype == precision.AUTO, 'asked for'
  if dtype == precision.AUTO:
    dtype, reason = _faster(source, reference, batch_size, frozen)

  made_parent = not os.path.isdir(export_dir)
  partial = os.path.join(export_dir, f'.{version}.partial')
  options = {'input_type': input_type, 'frozen': frozen, 'batch_size': batch_size, 'accept': accept}
  try:
    try:
      report = _write_verified(partial, source.computing_in(dtype), reference, **options)
    except ValueError as error:
      if not is_free or dtype == precision.FLOAT32:
        raise
      dtype, reason = precision.FLOAT32, f'bfloat16 is refused: {error}'
      report = _write_verified(partial, source, reference, **options)
    report |= {'dtype': dtype, 'dtype_reason': reason}
    _write(os.path.join(partial, layout.REPORT), json.dumps(report, indent=2) + '\n')
    os.rename(partial, target)
  except BaseException:
    shutil.rmtree(partial, ignore_errors=True)
    if made_parent and not os.listdir(export_dir):
      os.rmdir(export_dir)
    raise
  logging.info('%s: agrees with the model on %d images, %s', target, len(reference.images), report['max_error'])
  return target


def _write_verified(
  partial: str,
  source: Source,
  reference: verification.Reference,
  *,
  input_type: str,
  frozen: bool,
  batch_size: int | None,
  accept: Callable[[str], Mapping[str, Any]] | None,
) -> dict[str, Any]:
  """Writes the SavedModel to the directory `partial` and compares it with the model; returns the report."""
  shutil.rmtree(partial, ignore_errors=True)
  os.makedirs(partial)
  exported = anytime_module.build(source.model, source.input_size, batch_size, source.keep_aspect_ratio, frozen)
  exported.assets = [tf.saved_model.Asset(path) for path in _write_descriptions(partial, source)]
  gradients = module.NO_GRADIENTS if frozen else module.WITH_GRADIENTS
  tf.saved_model.save(exported, partial, exported.signatures(input_type), gradients)
  if frozen:
    _write_weights(partial, source)
  del exported  # Together with its copies of the constants, before those that the checks make.
  gc.collect()
  name = os.path.basename(os.path.dirname(os.path.abspath(partial)))
  warmup.write(partial, name, _requests(reference.images[0], batch_size))
  errors = _verify(
    partial, _for_dtype(reference, source), batch_size, not (source.dtype == precision.BFLOAT16 and accept)
  )
  _verify_exits(partial, source, reference.images, batch_size)
  return {
    'format': 1,
    'kind': 'saved_model',
    'source': source.origin,
    'input_size': list(source.input_size),
    'keep_aspect_ratio': source.keep_aspect_ratio,
    'batch_size': batch_size,
    'serving_default': input_type,
    'num_exits': getattr(source.model, 'num_exits', 1),
    'weights': 'frozen' if frozen else 'variable',
    'size_bytes': layout.size_bytes(partial),
    'checked_images': len(reference.images),
    'max_error': errors,
    **(accept(partial) if accept else {}),
  }


def _faster(source: Source, reference: verification.Reference, batch_size: int | None, frozen: bool) -> tuple[str, str]:
  """Returns the precision in which the network is faster on this machine, and what was measured."""
  device, why = precision.of_device()
  if device == precision.FLOAT32:
    return device, why
  inputs = tf.constant(np.repeat(reference.inputs[:1], batch_size or 1, axis=0))

  def network(dtype: str) -> Callable[[], Any]:
    of_dtype = source.computing_in(dtype)
    built = anytime_module.build(of_dtype.model, source.input_size, batch_size, source.keep_aspect_ratio, frozen)
    run = tf.function(built.raw)
    return lambda: run(inputs)['decoded_boxes'].numpy()

  chosen, medians = precision.fastest({dtype: network(dtype) for dtype in (precision.FLOAT32, precision.BFLOAT16)})
  return chosen, f'{precision.described(chosen, medians)}, measured on {processor.name()}'


def _for_dtype(reference: verification.Reference, source: Source) -> verification.Reference:
  """Returns `reference` with the tolerances of the precision in which `source` computes."""
  return reference if source.dtype == precision.FLOAT32 else reference.rounded()


def _write_descriptions(directory: str, source: Source) -> list[str]:
  """Writes params.yaml, topology.json and labels.json; returns their paths."""
  values = source.params.as_dict()
  model = values['task']['model']
  files = {label_names.FILE: json.dumps([dict(label) for label in source.labels], indent=2) + '\n'}
  pyramid = model['decoder'].get(model['decoder']['type']) or {}
  if 'topology' in pyramid:
    spec = topology.resolve(pyramid['topology'], model['min_level'], model['max_level'])
    # A configuration may name a topology, an export carries it.
    pyramid['topology'] = spec.to_json()
    files[layout.TOPOLOGY] = spec.to_json() + '\n'
  files[layout.PARAMS] = yaml.safe_dump(_plain(values), sort_keys=False)
  paths = []
  for name, text in files.items():
    paths.append(os.path.join(directory, name))
    _write(paths[-1], text)
  return paths


def _constants_bytes(source: Source) -> int:
  """Returns the size in bytes of the weights as constants of every signature."""
  size = sum(variable.dtype.size * variable.shape.num_elements() for variable in source.model.variables)
  return size * (4 + 3 * getattr(source.model, 'num_exits', 0))


def _write_weights(directory: str, source: Source) -> None:
  """Writes a checkpoint with the names that a SavedModel with variables uses."""
  tree = {name: module.variable_tree(item) for name, item in source.model.checkpoint_items.items()}
  os.makedirs(os.path.join(directory, layout.EXTRA), exist_ok=True)
  tf.train.Checkpoint(**tree).write(os.path.join(directory, layout.FROZEN_WEIGHTS))


def _requests(image: np.ndarray, batch_size: int | None) -> dict[str, dict[str, tf.Tensor]]:
  """Builds a request for each signature that takes images."""
  return {
    name: {'inputs': tf.constant(np.stack([value] * (batch_size or 1)))} for name, value in _forms_of(image).items()
  }


def _forms_of(image: np.ndarray) -> dict[str, Any]:
  """Converts an image to each of `signatures.INPUT_TYPES`."""
  encoded = tf.io.encode_png(image).numpy()
  example = tf.train.Example()
  example.features.feature['image/encoded'].bytes_list.value.append(encoded)
  return {'image_tensor': image, 'image_bytes': encoded, 'tf_example': example.SerializeToString()}


def _verify(
  directory: str, expected: verification.Reference, batch_size: int | None, detections: bool = True
) -> dict[str, float]:
  """Runs every signature of the SavedModel; returns the largest error of each raw output."""
  loaded = tf.saved_model.load(directory).signatures
  errors = {'box_encodings': 0.0, 'class_logits': 0.0}
  copies = batch_size or 1
  for row in range(len(expected.images)):
    raw = loaded[signatures.RAW](inputs=tf.constant(np.repeat(expected.inputs[row : row + 1], copies, axis=0)))
    for name in errors:
      error = verification.max_error(getattr(expected, name)[row], raw[name][0].numpy())
      errors[name] = np.maximum(errors[name], error).item()  # Unlike max(), keeps a NaN.
      if expected.tolerances.raw is not None:
        verification.check_rounded(getattr(expected, name)[row], raw[name][0].numpy(), name, expected.tolerances.raw)
  if expected.tolerances.raw is None:
    verification.check_errors(errors, expected.raw_tolerance, 'The SavedModel')
  for row, image in enumerate(expected.images):
    for name, value in _forms_of(image).items():
      found = signatures.detections_of(loaded[name](inputs=tf.constant(np.stack([value] * copies))))
      if detections:
        verification.check_detections(expected, row, found, f"The SavedModel's signature {name}")
  return errors


def _verify_exits(directory: str, source: Source, images: Sequence[np.ndarray], batch_size: int | None) -> None:
  """Compares every exit with its detector, computed at once and by refining."""
  num_exits = getattr(source.model, 'num_exits', 0)
  if not num_exits:
    return
  loaded = tf.saved_model.load(directory).signatures
  requests = [tf.constant(np.repeat(image[np.newaxis], batch_size or 1, axis=0)) for image in images]
  states = [loaded[signatures.BEGIN](inputs=inputs) for inputs in requests]
  for exit_stage in range(1, num_exits + 1):
    at_exit = source.at_exit(exit_stage)
    expected = _for_dtype(verification.reference(at_exit, images), at_exit)
    if exit_stage > 1:
      states = [loaded[signatures.refine_key(exit_stage)](**state) for state in states]
    for row, (inputs, state) in enumerate(zip(requests, states, strict=True)):
      for name, arguments in (
        (signatures.exit_key(exit_stage), {'inputs': inputs}),
        (signatures.detect_key(exit_stage), state),
      ):
        what = f"The SavedModel's signature {name}"
        verification.check_detections(expected, row, signatures.detections_of(loaded[name](**arguments)), what)


def _plain(value: Any) -> Any:
  """Converts tuples to lists, which YAML's safe loader needs."""
  if isinstance(value, Mapping):
    return {key: _plain(item) for key, item in value.items()}
  return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _write(path: str, text: str) -> None:
  with whole_file.naming(path), open(path, 'w', encoding='utf-8') as file:
    file.write(text)
