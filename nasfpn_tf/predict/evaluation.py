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

"""Computes COCO's metrics of a detector in any format."""

import numpy as np
import tensorflow as tf

from nasfpn_tf.data import progress
from nasfpn_tf.data.input import decode, undescribed
from nasfpn_tf.data.records import framing, manifest
from nasfpn_tf.predict.loading import load_predictor
from nasfpn_tf.predict.predictor import Predictor
from nasfpn_tf.training import evaluation


def evaluate_records(predictor: Predictor, input_path: str, annotations: str | None = None) -> dict[str, float]:
  """Computes COCO's metrics of a detector in any format on TFRecords, every image once.

  Args:
    predictor: the detector.
    input_path: the records, as `create_tfrecord.py` wrote them.
    annotations: COCO JSON with the same image ids; None takes the one beside the records, or else the boxes in them.

  Returns:
    The twelve metrics and `AP/<category>`, 0 to 1.

  Raises:
    FileNotFoundError: no records or no annotations.
    ValueError: the records are broken, or annotations and model do not fit.
  """
  shards = manifest.match_shards(input_path)
  total = framing.check_files(shards)
  found = manifest.find_manifest(input_path)
  labels = list(predictor.labels.values()) or (found.labels if found else None)
  if annotations is None:
    if found is not None and manifest.exists(found.annotations_path):
      annotations = found.annotations_path
    else:  # Records of another tool, or that have lost it: as in training.
      annotations = undescribed.ground_truth(shards, labels or ())
  evaluator = evaluation.CocoEvaluator(annotations, labels)
  records = tf.data.TFRecordDataset(shards).map(lambda record: decode.decode_record(record, tf.constant(input_path)))
  with decode.naming_record(shards):
    for record in progress.track(records.prefetch(2).as_numpy_iterator(), total, 'evaluate: images'):
      result = predictor(record.image)
      evaluator.add(
        [record.source_id], None, result.boxes[np.newaxis], result.scores[np.newaxis], result.classes[np.newaxis]
      )
  return evaluator.evaluate()


def compare_ap(model: Predictor, input_path: str, max_drop: float, path: str) -> dict[str, float]:
  """Compares COCO's AP of an exported file with that of the model it was exported from.

  Args:
    model: the detector before.
    input_path: records to evaluate on.
    max_drop: how much lower the AP of the file may be.
    path: the file, of any form.

  Returns:
    `AP` and `AP_of_model`, 0 to 1.

  Raises:
    ValueError: the file's AP is further below, or the records cannot be evaluated on.
  """
  found = {
    'AP': evaluate_records(load_predictor(path), input_path)['AP'],
    'AP_of_model': evaluate_records(model, input_path)['AP'],
  }
  if not found['AP'] >= found['AP_of_model'] - max_drop:
    raise ValueError(
      f'The file has AP {found["AP"]:.4f}, the model {found["AP_of_model"]:.4f} on {input_path}; the maximum drop'
      f' is {max_drop:g} less.'
    )
  return found
