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

"""Tests of what configurations say was published of their models."""

import pytest

from nasfpn_tf.config import experiment, published

CONFIG = """# A model, 640 px.
experiment: nasfpn_retinanet
published:
  - {ap: 39.0, split: test-dev, params_m: 60, multiply_adds_g: '1.410', source: 'arXiv 1911.09070, table 2'}
  - {ap: 23.5, all_params_m: 2.27, source: Model Garden, note: '600 epochs, from scratch',
     differs: {params: it is another one.}}
task: {model: {num_classes: 9}}
"""


def _read(tmp_path, text):
  (tmp_path / 'model.yaml').write_text(text)
  return published.read(tmp_path / 'model.yaml')


def test_reads_figures_sources_and_reasons(tmp_path):
  table, garden = _read(tmp_path, CONFIG)
  assert (table.ap, table.split, table.params_m, table.multiply_adds_g) == ('39.0', 'test-dev', '60', '1.410')
  assert (table.source, table.url, table.note) == (
    'arXiv 1911.09070, table 2',
    'https://arxiv.org/abs/1911.09070',
    '',
  )
  assert (garden.ap, garden.split, garden.params_m, garden.multiply_adds_g) == ('23.5', '', '2.27', '')
  assert garden.note == '600 epochs, from scratch' and 'tensorflow/models' in garden.url
  assert garden.counts_statistics and not table.counts_statistics
  assert garden.differs == {'params': 'it is another one.'} and not table.differs


def test_a_configuration_without_the_key_has_none(tmp_path):
  assert _read(tmp_path, 'task: {}\n') == ()


def test_an_experiment_does_not_have_the_key(tmp_path):
  (tmp_path / 'model.yaml').write_text(CONFIG)
  params = experiment.load_params(config_files=str(tmp_path / 'model.yaml'))
  assert params.task.model.num_classes == 9 and 'published' not in params.as_dict()


@pytest.mark.parametrize(
  ('entry', 'message'),
  [
    ('39.9 AP', r'model.yaml: published\[0\] is a mapping with the keys ap, .* not .39.9 AP'),
    ('{ap: 39.9, splitt: val, source: Model Garden}', "key 'splitt' does not exist; .*split"),
    ('{source: Model Garden}', 'has no figure'),
    ('{ap: 60M, source: Model Garden}', r"published\[0\].ap: '60M' is not a number"),
    ('{ap: true, source: Model Garden}', r'published\[0\].ap: True is not a number'),
    ('{params_m: 1, all_params_m: 2, source: Model Garden}', 'given twice'),
    ('{ap: 39.9, split: mine, source: Model Garden}', "split 'mine' is not one of val, test-dev"),
    ('{ap: 39.9, source: a friend}', "source 'a friend' is unknown"),
    ('{ap: 39.9}', "source '' is unknown"),
    ('{ap: 39.9, note: 600, source: Model Garden}', 'note 600 is not text'),
    ('{ap: 39.9, source: Model Garden, differs: {latency: slow}}', 'is not {params or multiply_adds: reason}'),
  ],
)
def test_an_entry_that_is_not_understood_is_an_error(tmp_path, entry, message):
  with pytest.raises(ValueError, match=message):
    _read(tmp_path, f'published:\n  - {entry}\n')


def test_the_key_is_a_list(tmp_path):
  with pytest.raises(ValueError, match=r"model.yaml: 'published' is a list of sources"):
    _read(tmp_path, 'published: {ap: 39.9}\n')
