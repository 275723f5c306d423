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
"""Which steps a fit has, and what it says at the end."""

import pytest

from nasfpn_tf.chain import steps
from nasfpn_tf.data.sources.problems import DataError
from nasfpn_tf.export import calibration
from nasfpn_tf.fit import chain
from tests.fit.dataset import layouts
from tests.house import docs_test


@pytest.fixture
def fit(tmp_path):
  """A fit on a few images of VOC without splits, in a path with a space."""
  data = tmp_path / 'my images'
  layouts.images(data / 'JPEGImages', range(6))
  layouts.voc(data / 'Annotations', range(6))
  made = chain.Fit(chain.Request(data, 30.0), tmp_path / 'out put')
  made.write_listing()
  return made


def test_commands_are_those_of_the_scripts(fit):
  planned = fit.steps()
  steps.Chain(planned, fit.output_dir)  # The order fits.
  names = [step.name for step in planned]
  assert names[:5] == ['split', 'records', 'check', 'plan', 'train'] and len(names) == 12
  commands = [steps.quote(command) for step in planned for command in step.commands]
  commands += chain.next_commands(fit, [])
  assert not [wrong for command in commands for wrong in docs_test.wrong_flags(command)]
  assert all(path.is_relative_to(fit.output_dir) for step in planned for path in step.outputs)


def test_few_images_are_refused_before_the_training_and_all_of_them_calibrate(fit):
  """A fifth of ten images would be too few to calibrate with, which used to end the run after its training."""
  assert chain.MIN_IMAGES == calibration.MIN_IMAGES
  planned = {step.name: step.commands[0] for step in fit.steps()}
  assert '--min_images=10' in planned['split']
  assert f'--calibration_tfrecord={fit.records / "val-*"},{fit.records / "train-*"}' in planned['tflite_int8']


def test_a_test_split_is_what_the_forms_are_judged_on(tmp_path):
  for split, numbers in (('train', range(3)), ('val', range(3, 5)), ('test', range(5, 6))):
    layouts.images(tmp_path / 'data' / split, numbers)
    layouts.coco(tmp_path / 'data' / split / '_annotations.coco.json', numbers)
  fit = chain.Fit(chain.Request(tmp_path / 'data', 30.0), tmp_path / 'out')
  assert fit.judged_on == 'test'
  words = [word for step in fit.steps() if step.name.startswith('evaluate') for word in step.commands[0]]
  assert f'--input_path={fit.records / "test-*"}' in words


def test_an_edited_plan_is_taken_as_it_is(fit):
  fit.plan.write_text(
    'task: {model: {input_size: [256, 320, 3], min_level: 3, max_level: 6,'
    ' decoder: {feature_pyramid: {num_repeats: 2, num_filters: 48}}}}\ntrainer: {train_steps: 50}\n'
  )
  assert '256 x 320 px, P3 to P6, NAS-FPN 2 @ 48, 50 steps' in fit.note_plan()
  assert 'plan' in [step.name for step in fit.steps()] and not fit.is_edited
  fit.plan.write_text(fit.plan.read_text() + '# mine\n')
  assert fit.is_edited
  planned = {step.name: step for step in fit.steps()}
  assert 'plan' not in planned and 'edited' in planned['train'].title


def test_the_listing_tells_a_changed_data_set(fit):
  before = fit.listing.read_text()
  fit.write_listing()
  assert fit.listing.read_text() == before
  layouts.images(fit.request.data / 'JPEGImages', [7])
  fit.write_listing()
  assert fit.listing.read_text() != before


def test_an_output_among_the_data_is_refused(fit):
  with pytest.raises(ValueError, match='in the directory of the data; name one outside'):
    chain.Fit(fit.request, fit.request.data / 'out')


def test_data_without_annotations_is_refused(tmp_path):
  layouts.images(tmp_path / 'data', [1, 2])
  with pytest.raises(DataError, match='2 images and no annotations'):
    chain.Fit(chain.Request(tmp_path / 'data', 30.0), tmp_path / 'out')
