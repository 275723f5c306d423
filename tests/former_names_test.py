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

"""Modules by the names that they had before they moved."""

import importlib

import pytest

from nasfpn_tf import former_names
from tests import testing


@pytest.mark.parametrize('name', former_names.FORMER)
def test_a_former_name_is_the_module_of_today(name):
  if name == 'search.ray_executor':
    pytest.importorskip('ray', reason='the executor of a Ray cluster needs Ray')
  today = f'nasfpn_tf.{former_names.FORMER[name]}'
  now = importlib.import_module(today)
  assert importlib.import_module(f'nasfpn_tf.{name}') is now
  assert now.__name__ == now.__spec__.name == today


@pytest.mark.parametrize('name', former_names.FORMER)
def test_no_module_stands_under_a_former_name(name):
  path = testing.repo_root() / 'nasfpn_tf' / name.replace('.', '/')
  assert not path.exists() and not path.with_suffix('.py').exists()


@pytest.mark.parametrize(
  'statement',
  [
    'from nasfpn_tf.modeling.restore import restore',
    'from nasfpn_tf.modeling.amoebanet import AmoebaNet',
    'from nasfpn_tf.modeling.applications import ApplicationsBackbone',
    'from nasfpn_tf.modeling.scale_permuted import ScalePermutedNet',
    'from nasfpn_tf.modeling import load_report, warm_start; load_report.LoadReport, warm_start.start',
    'from nasfpn_tf.modeling import restore; restore.restore',
    'import nasfpn_tf.data.tfrecord as t; t.write_tfrecords',
    'from nasfpn_tf.data import coco; coco.read_coco',
    'from nasfpn_tf.data.input import RecordParser, make_batches, read_records',
    'from nasfpn_tf.modeling.decoder import build_feature_pyramid, build_ssd_layers',
    'from nasfpn_tf.predict.forms import load_predictor',
    'from nasfpn_tf.search.searcher import Searcher',
    'from nasfpn_tf import config_types; config_types.check',
  ],
)
def test_statements_of_earlier_versions(statement):
  exec(statement, {})


@pytest.mark.parametrize('name', ['search.pyramid', 'modeling.restores', 'data.tfrecords'])
def test_a_name_that_never_was(name):
  with pytest.raises(ModuleNotFoundError, match=rf"No module named 'nasfpn_tf\.{name}'"):
    importlib.import_module(f'nasfpn_tf.{name}')
