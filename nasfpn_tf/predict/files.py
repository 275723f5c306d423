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

"""Runs a detector on image files; writes annotated images and a JSON file."""

import dataclasses
import os
from collections.abc import Sequence
from typing import Any

from nasfpn_tf.data import progress
from nasfpn_tf.data.sources import images
from nasfpn_tf.predict import drawing, reading, results, stopping
from nasfpn_tf.predict.detections import Detections
from nasfpn_tf.predict.predictor import Predictor

RESULTS = 'detections.json'


@dataclasses.dataclass
class Outcome:
  """The outcome for all images.

  Attributes:
    num_done: images whose results are written.
    failures: {path: reason} of those that could not be read.
    animated: {path: number of frames} of those of which the first frame was taken.
  """

  num_done: int = 0
  failures: dict[str, str] = dataclasses.field(default_factory=dict)
  animated: dict[str, int] = dataclasses.field(default_factory=dict)


def predict_files(predictor: Predictor, paths: Sequence[str], output_dir: str, score_threshold: float = 0.3) -> Outcome:
  """Writes an annotated JPEG for every image and `detections.json` for all, which is complete after every image.

  Args:
    predictor: the detector.
    paths: image files.
    output_dir: where to; made where it does not exist. What an earlier call wrote there is replaced, nothing else.
    score_threshold: least score of a detection that is kept.

  Returns:
    How many are done, and which could not be read; these are left out.

  Raises:
    ValueError: a file of someone else's is in the way, or `output_dir` is a directory of the images.
    OSError: a result cannot be written; the message says how many are done.
    Stopped: Ctrl-C or SIGTERM; the message says how many are done.
  """
  targets = results.name_targets(paths, output_dir, '.jpg')
  summary = os.path.join(output_dir, RESULTS)
  for target in (summary, *targets.values()):
    results.check_replaceable(target)
  os.makedirs(output_dir, exist_ok=True)
  outcome = Outcome()
  try:
    with results.ResultFile(summary) as file:
      for path in progress.track(paths, len(paths), 'predict: images'):
        try:
          image, num_frames = reading.read_first_frame(path)
        except images.ImageError as error:
          outcome.failures[path] = str(error)
          continue
        if num_frames > 1:
          outcome.animated[path] = num_frames
        found = predictor(image).above(score_threshold)
        annotated = drawing.annotate(image, found.boxes, found.classes, found.captions(), found.scores)
        entry = {'image': path, 'annotated': os.path.basename(targets[path])}
        size = {'width': image.shape[1], 'height': image.shape[0]}
        with stopping.hold():
          results.save_annotated(annotated, targets[path])
          file.add({**entry, **size, **to_json(predictor, found)})
          outcome.num_done = file.count
  except KeyboardInterrupt as error:
    raise stopping.Stopped(f'{_done(outcome, paths)}, see {summary}.') from error
  except OSError as error:
    reason = error.strerror or type(error).__name__
    raise OSError(
      f'{error.filename or output_dir}: cannot be written: {reason}. {_done(outcome, paths)}, see {summary}; make room'
      ' or choose another output_dir.'
    ) from error
  return outcome


def to_json(predictor: Predictor, found: Detections) -> dict[str, Any]:
  """Returns `detections` as JSON has them, boxes as x, y, width, height; and `exit_stage` where there is one."""
  rows = []
  for box, score, label in zip(found.boxes, found.scores, found.classes, strict=True):
    ymin, xmin, ymax, xmax = box.tolist()
    meaning = predictor.label_of(label)
    rows.append(
      {
        'box': [round(side, 2) for side in (xmin, ymin, xmax - xmin, ymax - ymin)],
        'score': round(float(score), 5),
        'label': int(label),
        'category_id': meaning['id'],
        'name': meaning['name'],
      }
    )
  reached = {} if found.exit_stage is None else {'exit_stage': found.exit_stage}
  return {**reached, 'detections': rows}


def _done(outcome: Outcome, paths: Sequence[str]) -> str:
  return f'{outcome.num_done} of {len(paths)} images are done'
