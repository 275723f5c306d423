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

"""Reads records of other tools, which have no manifest: checks their labels and derives their ground truth.

Roboflow, FiftyOne and the Object Detection API write the same features, but no COCO JSON beside them, and some of them
labels that begin with 0 or names alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from nasfpn_tf.data.input import decode
from nasfpn_tf.data.progress import track
from nasfpn_tf.data.records import framing
from nasfpn_tf.data.sources import images
from nasfpn_tf.data.sources.problems import DataError

_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')
_SAMPLE = 50
_CLASSES = 'image/object/class/label'
_NAMES = 'image/object/class/text'


def check_labels(paths: Iterable[str], num_classes: int = 0) -> None:
  """Checks the first records of each file for problems that would stop a training, before anything is built.

  Args:
    paths: TFRecord files.
    num_classes: of the model, background counted; 0: unknown.

  Raises:
    DataError: names the file and the record: no record at all, labels that are missing or begin with 0, or no image.
  """
  for path in paths:
    index = -1
    for index, (data, _) in enumerate(framing.read_records(path)):
      _check_record(f'{path} record {index}', data, num_classes)
      if index + 1 == _SAMPLE:
        break
    if index < 0:
      raise DataError(f'{path}: is empty, it has no record: write it again, or take it out of the input_path.')


def ground_truth(paths: Sequence[str], labels: Sequence[Mapping[str, Any]] = (), progress: bool = True) -> dict:
  """Returns the boxes of records as a COCO value, with the image ids that reading gives them.

  Args:
    paths: TFRecord files.
    labels: `{label, id, name}` of every class, whose ids become the categories'; where there is none, a label is the
      category's id, and its name is the one in the records.
    progress: tell on stderr how far it is.

  Raises:
    DataError: names the file and the record that cannot be used.
  """
  categories = {int(label['label']): {'id': int(label['id']), 'name': str(label['name'])} for label in labels}
  value = {'images': [], 'annotations': [], 'categories': []}
  places: dict[int, str] = {}
  total = framing.check_files(paths)
  for where, data in track(_serialized(paths), total, 'ground truth of the records', progress):
    features = _check_record(where, data, 0)
    image = _image(where, features)
    if image['id'] in places:
      raise DataError(
        f'{where}: has the image/source_id of {places[image["id"]]}: evaluation needs one for each image. Write the '
        'records again, or give the COCO JSON of them as task.annotation_file.'
      )
    places[image['id']] = where
    value['images'].append(image)
    for label, name, annotation in _boxes(where, features, image):
      if labels and label not in categories:
        raise DataError(f'{where}: has label {label}, which is none of the {len(categories)} of its manifest.')
      category = categories.setdefault(label, {'id': label, 'name': name or str(label)})
      annotation |= {'id': len(value['annotations']) + 1, 'image_id': image['id'], 'category_id': category['id']}
      value['annotations'].append(annotation)
  value['categories'] = [categories[label] for label in sorted(categories)]
  return value


def _serialized(paths: Iterable[str]) -> Iterable[tuple[str, bytes]]:
  for path in paths:
    for index, (data, _) in enumerate(framing.read_records(path)):
      yield f'{path} record {index}', data


def _check_record(where: str, data: bytes, num_classes: int) -> Mapping[str, Any]:
  """Returns the features of a record."""
  try:
    features = tf.train.Example.FromString(data).features.feature
  except Exception as error:  # protobuf has moved its DecodeError more than once.
    raise DataError(f'{where}: is not a tf.train.Example, as create_tfrecord.py writes them.') from error
  if len(_bytes(features, 'image/encoded')) != 1:
    raise DataError(f'{where}: has no image under image/encoded; its keys are {", ".join(sorted(features)[:20])}.')
  labels = _ints(features, _CLASSES)
  num_boxes = len(_floats(features, 'image/object/bbox/ymin'))
  if num_boxes and not labels:
    names = _bytes(features, _NAMES)
    what = f' has the names of its classes alone ({_text(names[0])}) under {_NAMES}, and' if names else ''
    raise DataError(
      f'{where}:{what} no number of a class under {_CLASSES}, which training reads: write the records again with '
      'labels from 1.'
    )
  if len(labels) != num_boxes:
    raise DataError(f'{where}: has {num_boxes} boxes and {len(labels)} labels ({_CLASSES}).')
  if labels and min(labels) < 1:
    raise DataError(
      f'{where}: has label {min(labels)}; labels begin with 1, 0 is the background. Write the records again with every '
      'label one higher.'
    )
  if num_classes and labels and max(labels) >= num_classes:
    raise DataError(
      f'{where}: has label {max(labels)}, but task.model.num_classes is {num_classes}, which is for labels 1 to '
      f'{num_classes - 1}: the background counts.'
    )
  return features


def _image(where: str, features: Mapping[str, Any]) -> dict[str, Any]:
  (encoded,), text = _bytes(features, 'image/encoded'), [*_bytes(features, 'image/source_id'), b''][0]
  try:
    width, height = images.stored_size(encoded)
  except images.ImageError as error:
    raise DataError(f'{where}: {error}.') from error
  identifier = int(decode.source_id(tf.constant(text), tf.constant(encoded)))
  name = [*_bytes(features, 'image/filename'), text][0]
  return {'id': identifier, 'file_name': _text(name), 'width': width, 'height': height}


def _boxes(
  where: str, features: Mapping[str, Any], image: Mapping[str, Any]
) -> Iterable[tuple[int, str, dict[str, Any]]]:
  """Yields label, name and the COCO annotation of each box, as reading takes them."""
  columns = [_floats(features, f'image/object/bbox/{side}') for side in _SIDES]
  labels, names = _ints(features, _CLASSES), _bytes(features, _NAMES)
  areas, crowds = _floats(features, 'image/object/area'), _ints(features, 'image/object/is_crowd')
  if any(len(column) != len(labels) for column in columns):
    raise DataError(f'{where}: the sides of its boxes differ in number.')
  for index, (label, *sides) in enumerate(zip(labels, *columns, strict=True)):
    ymin, xmin, ymax, xmax = (min(max(side, 0.0), 1.0) for side in sides)
    box = [xmin * image['width'], ymin * image['height']]
    box += [xmax * image['width'] - box[0], ymax * image['height'] - box[1]]
    area = areas[index] if len(areas) == len(labels) else box[2] * box[3]
    crowd = int(crowds[index] > 0) if len(crowds) == len(labels) else 0
    name = _text(names[index]) if len(names) == len(labels) else ''
    yield int(label), name, {'bbox': box, 'area': area, 'iscrowd': crowd}


def _bytes(features: Mapping[str, Any], key: str) -> Sequence[bytes]:
  return features[key].bytes_list.value if key in features else ()


def _ints(features: Mapping[str, Any], key: str) -> Sequence[int]:
  return features[key].int64_list.value if key in features else ()


def _floats(features: Mapping[str, Any], key: str) -> Sequence[float]:
  return features[key].float_list.value if key in features else ()


def _text(value: bytes) -> str:
  return value.decode('utf-8', 'replace')
