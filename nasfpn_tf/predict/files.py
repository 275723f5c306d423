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

"""Picture files in, annotated pictures and a JSON file out."""

import glob
import json
import os
from collections.abc import Sequence
from typing import Any

from nasfpn_tf.data import progress
from nasfpn_tf.data.sources import images
from nasfpn_tf.data.sources.text import read_text
from nasfpn_tf.predict import drawing
from nasfpn_tf.predict.detections import Detections
from nasfpn_tf.predict.predictor import Predictor
from nasfpn_tf.predict.reading import read_image

RESULTS = 'detections.json'
_SUFFIXES = images.EXTENSIONS


def find_images(references: Sequence[str]) -> list[str]:
  """Picture files, in order and each once.

  Args:
    references: files, directories (their pictures, not those further down), glob patterns ('**' goes down), and .txt
      files with one of these a line.

  Raises:
    FileNotFoundError: one of them gives no picture.
  """
  found = {}
  for reference in references:
    if reference.endswith('.txt') and os.path.isfile(reference):
      paths = find_images([line.strip() for line in read_text(reference).splitlines() if line.strip()])
    elif os.path.isdir(reference):
      names = sorted(name for name in os.listdir(reference) if name.lower().endswith(_SUFFIXES))
      paths = [os.path.join(reference, name) for name in names]
    elif os.path.isfile(reference):
      paths = [reference]
    else:
      paths = [path for path in sorted(glob.glob(reference, recursive=True)) if path.lower().endswith(_SUFFIXES)]
    if not paths:
      raise FileNotFoundError(f'{reference}: no picture ({", ".join(_SUFFIXES)}).')
    found.update(dict.fromkeys(paths))
  return list(found)


def predict_files(
  predictor: Predictor, paths: Sequence[str], output_dir: str, score_threshold: float = 0.3
) -> dict[str, str]:
  """Writes an annotated JPEG for every picture and `detections.json` for all.

  Args:
    predictor: the detector.
    paths: picture files.
    output_dir: where to; made where it does not exist. Existing files of the same names are replaced.
    score_threshold: least score of a detection that is kept.

  Returns:
    {path: reason} of the pictures that could not be read; they are left out.

  Raises:
    ValueError: an annotated picture would replace its original.
  """
  targets = _target_names(paths, output_dir)
  os.makedirs(output_dir, exist_ok=True)
  results, failures = [], {}
  for path in progress.track(paths, len(paths), 'predict: pictures'):
    try:
      image = read_image(path)
    except images.ImageError as error:
      failures[path] = str(error)
      continue
    found = predictor(image).above(score_threshold)
    drawing.annotate(image, found.boxes, found.classes, found.captions(), found.scores).save(targets[path], quality=92)
    results.append({'image': path, 'width': image.shape[1], 'height': image.shape[0], **_to_json(predictor, found)})
  with open(os.path.join(output_dir, RESULTS), 'w', encoding='utf-8') as file:
    json.dump(results, file, indent=1)
    file.write('\n')
  return failures


def _to_json(predictor: Predictor, found: Detections) -> dict[str, Any]:
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


def _target_names(paths: Sequence[str], output_dir: str) -> dict[str, str]:
  """{picture: file for the annotated one}; pictures of one name from several directories are numbered."""
  targets, used = {}, set()
  for path in paths:
    stem = name = os.path.splitext(os.path.basename(path))[0]
    number = 1
    while name.lower() in used:
      number += 1
      name = f'{stem}-{number}'
    used.add(name.lower())
    targets[path] = os.path.join(output_dir, name + '.jpg')
    if os.path.realpath(targets[path]) in map(os.path.realpath, paths):
      raise ValueError(f'{targets[path]} is one of the pictures: choose an output_dir without them.')
  return targets
