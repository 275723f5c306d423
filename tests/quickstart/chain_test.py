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

"""What the quickstart plans, and what it says at the end."""

import dataclasses
import json
import pathlib

import pytest

from nasfpn_tf import processor
from nasfpn_tf.chain import steps
from nasfpn_tf.quickstart import chain, run
from tests.house import docs_test


@pytest.mark.parametrize('scale', [chain.FULL, chain.SMOKE])
def test_commands_are_those_of_the_scripts(scale, tmp_path):
  quickstart = chain.Quickstart(tmp_path / 'out put', scale)
  planned = quickstart.steps()
  steps.Chain(planned, tmp_path)  # The order fits.
  commands = [steps.quote(command) for step in planned for command in step.commands]
  assert len(commands) == 11
  assert not [wrong for command in commands for wrong in docs_test.wrong_flags(command)]


def test_the_next_command_is_that_of_a_script():
  commands = run.own_data_commands()
  assert commands
  assert not [wrong for command in commands for wrong in docs_test.wrong_flags(command)]


def test_settings_keep_a_path_with_a_space_and_do_not_change_the_plan(tmp_path):
  before = json.dumps(chain.SMOKE.override)
  settings = chain.Quickstart(tmp_path / 'out put', chain.SMOKE).settings()
  assert settings['task']['train_data'] == {
    'global_batch_size': 4,
    'input_path': str(tmp_path / 'out put' / 'records' / 'train-*'),
  }
  assert settings['task']['model']['input_size'] == [128, 128, 3]
  assert settings['trainer'] == chain.SMOKE.override['trainer']
  assert json.dumps(chain.SMOKE.override) == before
  full = chain.Quickstart(tmp_path, chain.FULL).settings()
  assert set(full['task']) == {'train_data', 'validation_data'}
  assert full.get('runtime') == ({'mixed_precision_dtype': 'bfloat16'} if processor.computes_bfloat16() else None)
  assert full['trainer'] == chain.FULL.override['trainer']
  parser = {'aug_scale_min': 1.0, 'aug_scale_max': 1.0}
  assert full['task']['train_data'] == {'parser': parser, 'input_path': str(tmp_path / 'records' / 'train-*')}


def test_everything_lies_under_the_output_directory(tmp_path):
  for step in chain.Quickstart(tmp_path, chain.FULL).steps():
    assert step.outputs and all(path.is_relative_to(tmp_path) for path in step.outputs)


def test_the_shown_images_are_the_first_of_validation(tmp_path):
  shown = chain.Quickstart(tmp_path, chain.Scale(5, 2)).shown_images
  assert shown == [tmp_path / 'images' / 'val' / name for name in ('000006.jpg', '000007.jpg')]
  assert len(chain.Quickstart(tmp_path, chain.FULL).shown_images) == chain.NUM_SHOWN


def test_the_last_words_name_every_result(tmp_path):
  quickstart = chain.Quickstart(tmp_path / 'out put', chain.SMOKE)
  results = [steps.Result(step, 1.0, False, f'<{step.name}>') for step in quickstart.steps()]
  text = run.summary(quickstart, results)
  for path in (quickstart.report, quickstart.model_dir, *(form.path for form in quickstart.forms)):
    assert steps.quote([str(path)]) in text
  for words in ('<train>', '<evaluate_saved_model>', '<evaluate_tflite_int8>', *run.own_data_commands()):
    assert words in text
  without = [
    dataclasses.replace(result, left_out=True, summary='failed, see <log>')
    if result.step.name.endswith('tflite_int8')
    else result
    for result in results
  ]
  text = run.summary(quickstart, without)
  assert 'detector_int8.tflite' not in text and 'Not made:\n  Export TFLite, int8: failed, see <log>\n' in text


def test_the_configuration_exists():
  assert (chain.PROJECT / 'configs' / f'{chain.CONFIG}.yaml').is_file()
  assert pathlib.Path(chain.PROJECT / 'scripts' / 'quickstart.sh').is_file()
