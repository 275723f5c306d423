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

"""Tests of what is read from the first lines of a configuration."""

import pytest

from nasfpn_tf.models import header

CONFIG = """# A model, 640 px.
# Published: 39.9 AP test-dev, 60M params, 141G multiply-adds (arXiv 1911.09070, table 2).
# Published: 23.5 AP val, 2.27M all params (Model Garden; 600 epochs,
#   from scratch).
# Differs: params: it is
#   another one.
# Recipe: Published: not a statement of its own.
task: {}
# Published: 1 AP (nobody).
"""


def _read(tmp_path, text):
  (tmp_path / 'model.yaml').write_text(text)
  return header.read(tmp_path / 'model.yaml')


def test_reads_figures_sources_and_reasons(tmp_path):
  read = _read(tmp_path, CONFIG)
  assert read.title == 'A model, 640 px.'
  assert read.differs == {'params': 'it is another one.'}
  table, garden = read.published
  assert (table.ap, table.params_m, table.multiply_adds_g) == ('39.9 test-dev', '60', '141')
  assert (table.source, table.url, table.note) == (
    'arXiv 1911.09070, table 2',
    'https://arxiv.org/abs/1911.09070',
    '',
  )
  assert (garden.ap, garden.params_m, garden.multiply_adds_g) == ('23.5 val', '2.27', '')
  assert garden.note == '600 epochs, from scratch' and 'tensorflow/models' in garden.url
  assert garden.counts_statistics and not table.counts_statistics


@pytest.mark.parametrize(
  ('text', 'message'),
  [
    ('task: {}\n', 'begins with a comment'),
    ('# A.\n# Published: 39.9 AP val.\n', r'model.yaml.*is not "Published: figures \(source'),
    ('# A.\n# Published: 39.9 AP, 60 params (Model Garden).\n', "'60 params' is not understood"),
    ('# A.\n# Published: 1M params, 2M params (Model Garden).\n', "'2M params' is not understood"),
    ('# A.\n# Published: 39.9 AP (a friend).\n', "source 'a friend' is unknown"),
    ('# A.\n# Differs: latency: slow.\n', 'is not "Differs: "'),
  ],
)
def test_a_statement_that_is_not_understood_is_an_error(tmp_path, text, message):
  with pytest.raises(ValueError, match=message):
    _read(tmp_path, text)
