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

"""Tests of create_tfrecord.py as a user runs it."""

from nasfpn_tf.data.records.manifest import find_manifest
from tests import commands
from tests.data import samples


def _run(*flags):
  return commands.run('create_tfrecord.py', *flags)


def test_records_from_the_command_line(tmp_path):
  value = samples.coco_value()
  value['annotations'][0]['bbox'] = [-3, 5, 20, 10]
  images = samples.write_images(tmp_path / 'my images', value)
  (images / 'p5.jpg').write_bytes(b'')
  annotations = samples.write_json(tmp_path / 'x.json', value)
  result = _run(
    f'--annotations={annotations}', f'--image_dir={images}', f'--output_prefix={tmp_path}/out/train', '--num_shards=2'
  )
  assert result.returncode == 0, result.stderr
  assert f'{tmp_path}/out/train-*.tfrecord: 5 images in 2 files' in result.stdout
  assert '1 box_clipped, fixed' in result.stdout
  assert '1 image_unreadable, dropped' in result.stdout
  assert 'labels (2 classes, num_classes 3): 1 cat, 2 dog' in result.stdout
  assert 'train: images 6/6' in result.stderr
  assert find_manifest(f'{tmp_path}/out/train-*').num_records == 5


def test_an_expected_problem_is_a_message_and_no_traceback(tmp_path):
  value = samples.coco_value()
  value['annotations'][0]['bbox'] = [-3, 5, 20, 10]
  images = samples.write_images(tmp_path / 'images', value)
  annotations = samples.write_json(tmp_path / 'x.json', value)
  result = _run(
    f'--annotations={annotations}', f'--image_dir={images}', f'--output_prefix={tmp_path}/out/train', '--strict'
  )
  assert result.returncode == 1
  assert 'create_tfrecord: 1 problems, which --strict makes errors:\n  annotation 1 of p0.jpg: bbox' in result.stderr
  assert 'Traceback' not in result.stderr
  assert not (tmp_path / 'out').exists()


def test_a_stray_argument_is_refused(tmp_path):
  result = _run('x.json', '--annotations=a', '--image_dir=b', '--output_prefix=c')
  assert result.returncode == 1
  assert "unexpected argument 'x.json'" in result.stdout + result.stderr


def test_unused_categories_and_background(tmp_path):
  value = samples.coco_value()
  value['categories'].append({'id': 0, 'name': 'pets'})
  images = samples.write_images(tmp_path / 'images', value)
  annotations = samples.write_json(tmp_path / 'x.json', value)
  flags = [f'--annotations={annotations}', f'--image_dir={images}', f'--output_prefix={tmp_path}/out/train']
  assert 'categories without annotations: pets; --drop_unused_categories leaves them out' in _run(*flags).stdout
  assert '(2 classes, num_classes 3): 1 cat, 2 dog' in _run(*flags, '--drop_unused_categories').stdout
  samples.write_json(annotations, {**value, 'annotations': []})
  result = _run(*flags)
  assert result.returncode == 1 and f'create_tfrecord: {annotations}: no annotation at all' in result.stderr
  assert '--allow_empty' in result.stderr and 'Traceback' not in result.stderr
  assert _run(*flags, '--allow_empty').returncode == 0
