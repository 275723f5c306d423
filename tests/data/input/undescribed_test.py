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

"""Records as other tools write them: Roboflow, FiftyOne and the Object Detection API."""

import numpy as np
import pytest
import tensorflow as tf

from nasfpn_tf.data.input import undescribed
from nasfpn_tf.data.input.decode import decode_record
from nasfpn_tf.data.sources.problems import DataError
from tests.data import synthetic

_IMAGES = [synthetic.encode(synthetic.image(32, 48, seed=seed)) for seed in range(3)]


def record(encoded, boxes=((0.25, 0.5, 0.5, 1.0),), labels=None, texts=None, **more):
  """A record with the keys of all three tools; `more` are other features by their last part."""
  columns = np.asarray(boxes, np.float32).reshape(-1, 4).T
  values = {
    'encoded': [encoded],
    'height': [32],
    'width': [48],
    'format': [b'jpeg'],
  }
  for side, column in zip(('ymin', 'xmin', 'ymax', 'xmax'), columns, strict=True):
    values[f'object/bbox/{side}'] = list(map(float, column))
  values |= {'object/class/label': labels} if labels is not None else {}
  values |= {'object/class/text': texts} if texts is not None else {}
  values |= {key.replace('__', '/'): value for key, value in more.items()}
  features = {}
  for key, items in values.items():
    kind, cls = {bytes: ('bytes_list', tf.train.BytesList), int: ('int64_list', tf.train.Int64List)}.get(
      type(items[0]) if items else float, ('float_list', tf.train.FloatList)
    )
    features[f'image/{key}'] = tf.train.Feature(**{kind: cls(value=items)})
  return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def roboflow(index):
  """No source_id, the name of the file, labels and their names."""
  return record(_IMAGES[index], labels=[1 + index % 2], texts=[[b'cat', b'dog'][index % 2]], filename=[b'a.jpg'])


def fiftyone(index):
  """The name of the file as source_id."""
  name = f'{index}.jpg'.encode()
  return record(_IMAGES[index], labels=[1 + index % 2], texts=[b'x'], filename=[name], source_id=[name])


def detection_api(index):
  """COCO's id as source_id, the area in pixels, and crowds."""
  more = {'source_id': [str(500 + index).encode()], 'object__area': [77.0], 'object__is_crowd': [index % 2]}
  return record(_IMAGES[index], labels=[1], texts=[b'cat'], **more)


@pytest.mark.parametrize('tool', [roboflow, fiftyone, detection_api])
def test_the_ground_truth_is_what_reading_gives(tmp_path, tool):
  serialized = [tool(index) for index in range(3)]
  path = synthetic.write(tmp_path / 'x.tfrecord', serialized)
  undescribed.check_labels([path], num_classes=3)
  value = undescribed.ground_truth([path], progress=False)
  assert len(value['images']) == len(value['annotations']) == 3
  for data, image, annotation in zip(serialized, value['images'], value['annotations'], strict=True):
    read = decode_record(tf.constant(data), tf.constant(path))
    assert image['id'] == annotation['image_id'] == int(read.source_id)
    assert (image['height'], image['width']) == (32, 48)
    assert annotation['bbox'] == [24.0, 8.0, 24.0, 8.0]
    assert annotation['category_id'] == int(read.classes[0])
    assert annotation['area'] == pytest.approx(float(read.areas[0]))
    assert annotation['iscrowd'] == int(read.is_crowd[0])
  assert value['categories'][0] == {'id': 1, 'name': 'x' if tool is fiftyone else 'cat'}


def test_a_manifest_gives_the_categories(tmp_path):
  path = synthetic.write(tmp_path / 'x.tfrecord', [roboflow(0)])
  labels = [{'label': 1, 'id': 18, 'name': 'Katze'}, {'label': 2, 'id': 19, 'name': 'Hund'}]
  value = undescribed.ground_truth([path], labels, progress=False)
  assert value['annotations'][0]['category_id'] == 18
  assert value['categories'] == [{'id': 18, 'name': 'Katze'}, {'id': 19, 'name': 'Hund'}]


@pytest.mark.parametrize(
  ('records', 'message'),
  [
    ([], 'is empty, it has no record'),
    ([record(_IMAGES[0], labels=[1]), record(_IMAGES[1], labels=[0])], 'record 1: has label 0; labels begin with'),
    ([record(_IMAGES[0], texts=[b'cat'])], r'record 0: has the names of its classes alone \(cat\)'),
    ([record(_IMAGES[0])], 'record 0: no number of a class under image/object/class/label'),
    ([record(_IMAGES[0], labels=[1, 2])], 'record 0: has 1 boxes and 2 labels'),
    ([record(_IMAGES[0], labels=[7])], r'record 0: has label 7, but task\.model\.num_classes is 3'),
    ([b'\x0a\xff\xff'], 'record 0: is not a tf.train.Example'),
    ([tf.train.Example().SerializeToString()], 'record 0: has no image under image/encoded'),
  ],
)
def test_what_would_stop_a_training_is_found_before(tmp_path, records, message):
  path = synthetic.write(tmp_path / 'x.tfrecord', records)
  with pytest.raises(DataError, match=message) as error:
    undescribed.check_labels([path], num_classes=3)
  assert str(error.value).startswith(path)


def test_backgrounds_are_no_problem(tmp_path):
  path = synthetic.write(tmp_path / 'x.tfrecord', [record(_IMAGES[0], boxes=(), labels=[])])
  undescribed.check_labels([path], num_classes=3)


def test_two_images_of_one_id_are_named(tmp_path):
  path = synthetic.write(tmp_path / 'x.tfrecord', [detection_api(0), detection_api(0)])
  with pytest.raises(DataError, match=r'record 1: has the image/source_id of .*x\.tfrecord record 0'):
    undescribed.ground_truth([path], progress=False)
