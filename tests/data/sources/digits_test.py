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

"""The embedded data set: honest, legible, repeatable, whole or not there."""

import dataclasses
import json
import os
import pathlib

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from nasfpn_tf.data.sources import digits, photographs

SETTINGS = digits.DigitsSettings(num_train=30, num_val=20, seed=7)


@pytest.fixture(scope='module')
def drawn() -> list:
  return [digits.draw_image(SETTINGS, index) for index in range(50)]


def test_writes_coco_and_jpeg(tmp_path):
  paths = digits.make_digits(str(tmp_path / 'a set'), num_train=5, num_val=3, seed=7, progress=False)
  ids = []
  for images, annotations, count in [
    (paths.train_images, paths.train_annotations, 5),
    (paths.val_images, paths.val_annotations, 3),
  ]:
    with open(annotations) as file:
      content = json.load(file)
    assert [category['name'] for category in content['categories']] == [str(digit) for digit in range(10)]
    assert len(content['images']) == count == len(os.listdir(images))
    sizes = {}
    for entry in content['images']:
      with Image.open(os.path.join(images, entry['file_name'])) as image:
        assert image.format == 'JPEG' and image.mode == 'RGB'
        sizes[entry['id']] = image.size == (entry['width'], entry['height'])
    assert all(sizes.values())
    ids += sizes
    assert {annotation['image_id'] for annotation in content['annotations']} <= set(sizes)
    assert [annotation['id'] for annotation in content['annotations']] == [*range(1, len(content['annotations']) + 1)]
    assert all(1 <= annotation['category_id'] <= 10 for annotation in content['annotations'])
  assert len(set(ids)) == 8


def test_boxes_are_inside_and_of_the_promised_sizes(drawn):
  sides = []
  for image, objects in drawn:
    assert 1 <= len(objects) <= SETTINGS.max_digits == SETTINGS.max_train_digits
    for _, (x, y, width, height) in objects:
      assert x >= 0 and y >= 0 and x + width <= image.width and y + height <= image.height
      sides.append(max(width, height))
  assert min(sides) >= SETTINGS.min_size and max(sides) <= SETTINGS.max_size
  assert min(sides) < 20 and max(sides) > 100 and 30 < np.median(sides) < 70


def test_no_digit_hides_another(drawn):
  for _, objects in drawn:
    for index, (_, (x, y, width, height)) in enumerate(objects):
      for _, (u, v, other_width, other_height) in objects[:index]:
        overlap_width = max(0, min(x + width, u + other_width) - max(x, u))
        overlap_height = max(0, min(y + height, v + other_height) - max(y, v))
        smaller = min(width * height, other_width * other_height)
        assert overlap_width * overlap_height <= 0.1 * smaller


def test_boxes_are_tight_around_what_was_drawn(monkeypatch):
  """On a blank background the pixels that differ from it are the digits."""
  blank = Image.new('RGB', (256, 256), (120, 120, 120))
  monkeypatch.setattr(photographs, 'background', lambda *_: blank.copy())
  for index in range(12):
    image, objects = digits.draw_image(dataclasses.replace(SETTINGS, max_digits=1, max_train_digits=1), index)
    (_, (x, y, width, height)) = objects[0]
    difference = np.abs(np.asarray(image, float) - 120).max(axis=2)
    rows, columns = np.nonzero(difference > difference.max() / 2)
    np.testing.assert_allclose(
      [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1], [x, y, x + width, y + height], atol=1
    )


def test_splits_share_no_sample():
  samples = {split: digits.samples_of(split) for split in ('train', 'val')}
  whole = datasets.load_digits()
  assert sum(len(labels) for _, labels in samples.values()) == len(whole.target)
  for digit in range(10):
    counts = [int(np.sum(labels == digit)) for _, labels in samples.values()]
    assert 3 < counts[0] / counts[1] < 5
  as_bytes = {split: {image.tobytes() for image in images} for split, (images, _) in samples.items()}
  assert not as_bytes['train'] & as_bytes['val']


def test_more_digits_on_training_images_leave_the_validation_images_as_they_are(drawn):
  crowded = dataclasses.replace(SETTINGS, min_train_digits=6, max_train_digits=12)
  counts = [len(digits.draw_image(crowded, index)[1]) for index in range(SETTINGS.num_train)]
  assert max(counts) <= 12 and np.mean(counts) > 2 * np.mean([len(found) for _, found in drawn[: SETTINGS.num_train]])
  for index in range(SETTINGS.num_train, len(drawn)):
    image, found = digits.draw_image(crowded, index)
    assert found == drawn[index][1] and np.array_equal(image, drawn[index][0])


def test_an_image_depends_on_the_settings_and_its_index_alone(drawn):
  image, objects = digits.draw_image(SETTINGS, 33)
  assert objects == drawn[33][1] and image.tobytes() == drawn[33][0].tobytes()
  other, _ = digits.draw_image(dataclasses.replace(SETTINGS, seed=8), 33)
  assert other.tobytes() != image.tobytes()


def test_processes_write_the_same_files(tmp_path):
  paths = [
    digits.make_digits(str(tmp_path / name), 190, 10, seed=1, num_processes=count, progress=False)
    for name, count in (('one', 1), ('two', 2))
  ]
  one, two = ({field: getattr(path, field) for field in ('train_annotations', 'val_annotations')} for path in paths)
  for field in one:
    with open(one[field]) as a, open(two[field]) as b:
      assert a.read() == b.read()
  for name in ('000001.jpg', '000190.jpg'):
    contents = {pathlib.Path(path.train_images, name).read_bytes() for path in paths}
    assert len(contents) == 1


def test_a_finished_set_is_used_again_and_other_settings_replace_it(tmp_path):
  directory = str(tmp_path / 'set')
  paths = digits.make_digits(directory, 4, 2, progress=False)
  made = os.stat(paths.train_annotations).st_mtime_ns
  assert digits.make_digits(directory, 4, 2, progress=False) == paths
  assert os.stat(paths.train_annotations).st_mtime_ns == made
  os.remove(os.path.join(paths.train_images, '000002.jpg'))
  digits.make_digits(directory, 4, 2, progress=False)
  assert len(os.listdir(paths.train_images)) == 4
  digits.make_digits(directory, 3, 2, progress=False)
  assert len(os.listdir(paths.train_images)) == 3


def test_an_interrupted_run_leaves_no_set(tmp_path, monkeypatch):
  directory = str(tmp_path / 'set')
  write = digits._write_image

  def interrupted(job):
    if job[2] == 3:
      raise KeyboardInterrupt
    return write(job)

  with monkeypatch.context() as patch:
    patch.setattr(digits, '_write_image', interrupted)
    with pytest.raises(KeyboardInterrupt):
      digits.make_digits(directory, 4, 2, progress=False)
  assert not os.path.exists(directory)
  paths = digits.make_digits(directory, 4, 2, progress=False)
  assert len(os.listdir(paths.train_images)) == 4
  assert os.listdir(tmp_path) == ['set']


def test_a_directory_with_other_files_is_left_alone(tmp_path):
  (tmp_path / 'thesis.txt').write_text('mine')
  with pytest.raises(FileExistsError, match='other files'):
    digits.make_digits(str(tmp_path), 4, 2, progress=False)
  assert os.listdir(tmp_path) == ['thesis.txt']


@pytest.mark.parametrize(
  'settings', [{'num_train': 0}, {'image_size': 128}, {'min_size': 4}, {'max_digits': 0}, {'min_train_digits': 7}]
)
def test_unusable_settings(settings):
  with pytest.raises(ValueError, match=r'at least 1|image_size'):
    digits.DigitsSettings(**settings)
