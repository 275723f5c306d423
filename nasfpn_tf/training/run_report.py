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

"""Writes report.html and eval_details.json of a model_dir after an evaluation."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf
from absl import logging
from official.core import config_definitions as cfg

from nasfpn_tf import failure
from nasfpn_tf.data.input import decode
from nasfpn_tf.data.records import framing
from nasfpn_tf.data.records.manifest import match_shards
from nasfpn_tf.report import curves
from nasfpn_tf.report import run as run_page
from nasfpn_tf.training import artifacts, checkpoints, diagnosis, run_record
from nasfpn_tf.training.evaluation import CocoEvaluator

REPORT = 'report.html'
DETAILS = 'eval_details.json'
_NUM_WORST, _NUM_BEST = 6, 3
_MOST_CURVES = 4


def write(model_dir: str, params: cfg.ExperimentConfig, evaluator: CocoEvaluator) -> None:
  """Writes both files; a failure to write them is a warning and does not end the run.

  Args:
    model_dir: of the run, with the history of this evaluation.
    params: the experiment.
    evaluator: of this evaluation.
  """
  try:
    found = diagnosis.diagnose(evaluator)
    checkpoints.write_json(os.path.join(model_dir, DETAILS), found.to_json())
    checkpoints.write_text(os.path.join(model_dir, REPORT), run_page.render(_report(model_dir, params, found)))
  except (ValueError, OSError, LookupError, TypeError, AttributeError, tf.errors.OpError) as error:
    # What it reads lies in the model_dir, where others may have changed it.
    problem = failure.message(error) if failure.is_expected(error) else repr(error)
    logging.warning('%s could not be written: %s', os.path.join(model_dir, REPORT), problem)


def _report(model_dir: str, params: cfg.ExperimentConfig, found: diagnosis.Diagnosis) -> run_page.RunReport:
  result = checkpoints.read_json(os.path.join(model_dir, 'eval.json'))
  train = artifacts.read_history(os.path.join(model_dir, 'train_history.jsonl'))
  evaluations = artifacts.read_history(os.path.join(model_dir, 'eval_history.jsonl'))
  steps = [line['step'] for line in train]
  worst = [image for image in reversed(found.images) if image.f1 < 1.0][:_NUM_WORST]
  best = [image for image in found.images if image not in worst][:_NUM_BEST]
  files = _files(match_shards(params.task.validation_data.input_path), {image.image_id for image in (*worst, *best)})
  starts = checkpoints.read_json(os.path.join(model_dir, run_record.FILE))['starts']
  frequent = sorted(found.precision_of, key=lambda name: -_count(found.images, name))[:_MOST_CURVES]
  return run_page.RunReport(
    title=f'Training of {os.path.basename(os.path.abspath(model_dir))}',
    lead=(
      f'{params.task.model.backbone.type} backbone, {params.task.model.decoder.type} decoder, '
      f'{params.task.model.num_classes - 1} categories; evaluated at step {result["step"]} of '
      f'{params.trainer.train_steps}.'
    ),
    metrics={key: value for key, value in result.items() if isinstance(value, float)},
    per_category=result['per_category'],
    loss=[curves.Series('total loss', steps, [line['total_loss'] for line in train], smoothing=0.8)] if train else [],
    accuracy=[
      curves.Series(name, [line['step'] for line in evaluations], [line[name] for line in evaluations])
      for name in ('AP', 'AP50')
      if len(evaluations) > 1
    ],
    recall=found.recall,
    precision=found.precision,
    precision_of={name: found.precision_of[name] for name in frequent},
    confusion_names=found.names,
    confusion=found.confusion.tolist(),
    best=[_image(image, files) for image in best if image.image_id in files],
    worst=[_image(image, files) for image in worst if image.image_id in files],
    score_threshold=diagnosis.SCORE_THRESHOLD,
    training_images=_bytes(os.path.join(model_dir, run_record.TRAINING_IMAGES)),
    starts=[
      (start['time'], f'{start["mode"]} from step {start["step"]}', ' '.join(start['command'])) for start in starts
    ],
    environment=_environment(starts[-1]),
    settings=_bytes(os.path.join(model_dir, 'params.yaml')).decode(),
  )


def _count(images: Iterable[diagnosis.ImageResult], name: str) -> int:
  return sum(box.name == name for image in images for box in image.truth)


def _image(image: diagnosis.ImageResult, files: Mapping[int, tuple[str, bytes]]) -> run_page.Image:
  name, encoded = files[image.image_id]
  return run_page.Image(name or str(image.image_id), encoded, image.truth, image.predictions, image.f1)


def _files(paths: Sequence[str], wanted: set[int]) -> dict[int, tuple[str, bytes]]:
  """Returns the file name and bytes of the images with these ids, from their records."""
  found = {}
  for path in paths:
    for data, _ in framing.read_records(path):
      if len(found) == len(wanted):
        return found
      features = tf.train.Example.FromString(data).features.feature
      text, encoded = (features[f'image/{key}'].bytes_list.value for key in ('source_id', 'encoded'))
      image_id = int(decode.source_id(tf.constant(text[0] if text else b''), tf.constant(encoded[0])))
      if image_id in wanted:
        name = features['image/filename'].bytes_list.value
        found[image_id] = (name[0].decode('utf-8', 'replace') if name else '', encoded[0])
  return found


def _environment(start: Mapping[str, Any]) -> dict[str, str]:
  revision = start['revision']
  commit = f'{revision["commit"]}{", with changes" if revision["changed"] else ""}' if revision else 'no git checkout'
  return {
    'revision': commit,
    'python': start['python'],
    **start['packages'],
    **{key: value if isinstance(value, str) else ', '.join(value) for key, value in start['machine'].items()},
  }


def _bytes(path: str) -> bytes | None:
  if not tf.io.gfile.exists(path):
    return None
  with tf.io.gfile.GFile(path, 'rb') as file:
    return file.read()
