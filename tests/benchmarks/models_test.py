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

"""The published models: figures against what was published, closed forms, and docs/models.md as it is generated."""

import dataclasses
import math

import pytest

from benchmarks import model_figures, model_table
from nasfpn_tf import topology
from nasfpn_tf.config import loading
from tests import testing

DOCUMENT = testing.repo_root() / 'docs' / 'models.md'
MEASURED = model_figures.load(DOCUMENT.with_suffix('.json'))
PUBLISHED = model_table.published()
INPUTS = {
  'resnet': {3: 512, 4: 1024, 5: 2048},
  'mobilenet_v2': {3: 32, 4: 96, 5: 320},
  'efficientnet_b0': {3: 40, 4: 112, 5: 320},
  'amoebanet': {3: 4 * 240, 4: 8 * 240, 5: 16 * 240},
}


@pytest.fixture(scope='module')
def models():
  return {name: model_figures.model_config(name) for name in PUBLISHED}


def _closed_form_cases():
  stacked = ('_nasfpn', '_7x256_', 'efficientdet')
  return [name for name in PUBLISHED if any(word in name for word in stacked)]


def test_the_document_is_what_the_command_writes(models):
  stale = model_table.drift(PUBLISHED, MEASURED, {name: model_figures.digest(model) for name, model in models.items()})
  assert not stale, f'{stale}: python -m benchmarks.models --rebuild --output=docs/models.md'
  assert DOCUMENT.read_text() == model_table.markdown(PUBLISHED, MEASURED), (
    'python -m benchmarks.models --output=docs/models.md'
  )


@pytest.mark.parametrize('name', PUBLISHED)
def test_figures_are_the_published_ones(name):
  """Within 0.5 % beyond the rounding of the printed figure; an entry that says why not has to be right about it."""
  measured = MEASURED[name]
  for published in PUBLISHED[name]:
    compared = set()
    params = measured.params if published.counts_statistics else measured.trainable
    for figure, printed, built in (
      ('params', published.params_m, sum(params.values()) / 1e6),
      ('multiply_adds', published.multiply_adds_g, sum(measured.multiply_adds.values()) / 1e9),
    ):
      if printed:
        compared.add(figure)
        assert model_table.agrees(printed, built) == (figure not in published.differs), (figure, printed, built)
    assert set(published.differs) <= compared


@pytest.mark.parametrize('name', _closed_form_cases())
def test_figures_are_those_of_the_closed_form(models, name):
  model, measured = models[name], MEASURED[name]
  pyramid = model.decoder.feature_pyramid
  spec = topology.resolve(pyramid.topology, model.min_level, model.max_level)
  backbone = model.backbone.get().name if model.backbone.type == 'applications' else model.backbone.type
  of_pyramid = {
    'input_filters': INPUTS[backbone],
    'separable': pyramid.use_separable_conv,
    'project_each_edge': pyramid.project_each_edge,
    'coarse_convs': pyramid.coarse_convs,
  }
  of_head = {
    'num_classes': 91,
    'num_filters': pyramid.num_filters,
    'num_convs': model.head.num_convs,
    'separable': model.head.use_separable_conv,
  }
  stack = (spec, pyramid.num_repeats, pyramid.num_filters)
  size = tuple(model.input_size[:2])
  assert measured.params['decoder'] == topology.params(*stack, **of_pyramid)
  assert measured.multiply_adds['decoder'] == topology.multiply_adds(*stack, image_size=size, **of_pyramid)
  assert measured.params['head'] == topology.retinanet_head_params(spec, **of_head)
  assert measured.multiply_adds['head'] == topology.retinanet_head_multiply_adds(spec, image_size=size, **of_head)


@pytest.mark.slow
@pytest.mark.parametrize('name', PUBLISHED)
def test_every_built_model_has_the_kept_figures(models, name):
  assert model_figures.measure(models[name]) == MEASURED[name]


def test_published_models_name_their_recipe_and_stay_short():
  for name, path in loading.config_names().items():
    lines = path.read_text().splitlines()
    assert lines[0].startswith('# '), f'{name} begins with no comment that says what it is'
    assert len(lines) <= 45, f'{name} has {len(lines)} lines'
    if name in PUBLISHED:
      head = {line.partition(':')[0] for line in lines if line.startswith('#')}
      assert {'# Recipe', '# Command', '# Cost'} <= head, f'{name}: {head}'
      assert any(line.startswith('experiment: ') for line in lines), f'{name} names no experiment'
      assert any(f'--config_file={name} ' in line for line in lines), f'{name}: the command is of another file'


def test_protocols_of_spinenet(models):
  """A and B of arXiv 1912.05027 have neither swish nor stochastic depth, C has both, with the rates of the TPU code."""
  for name, model in models.items():
    if name.startswith('spinenet') and 'mobile' not in name:
      is_c = name.endswith('_c')
      rate = {'spinenet143_1280_c': 0.16}.get(name, 0.2)
      assert model.backbone.get().stochastic_depth_drop_rate == (rate if is_c else 0.0), name
      assert model.norm_activation.activation == ('swish' if is_c else 'relu'), name


def test_the_digest_sees_the_architecture_alone():
  model = model_figures.model_config('r50_nasfpn_7x256_640')
  original = model_figures.digest(model)
  model.detection_generator.pre_nms_top_k = 7
  model.decoder.fpn.num_filters = 9  # Not the decoder that is chosen.
  assert model_figures.digest(model) == original
  model.decoder.feature_pyramid.num_repeats = 6
  assert model_figures.digest(model) != original


def test_drift_names_what_is_stale():
  measured = {name: model_figures.Figures(name, {}, {}, {}) for name in ('same', 'changed', 'gone')}
  published = dict.fromkeys(('same', 'changed', 'new'), ())
  assert model_table.drift(published, measured, {'same': 'same', 'changed': 'x', 'new': 'y'}) == [
    'changed',
    'gone',
    'new',
  ]
  with pytest.raises(ValueError, match='no figures of new: --rebuild'):
    model_table.markdown(published, measured)


@pytest.mark.parametrize(
  ('published', 'built', 'agree'),
  [('141', 140.26, True), ('140.6', 140.26, True), ('60.3', 59.9, False), ('1.0', 0.9809, True), ('2.34', 2.36, False)],
)
def test_agreement_allows_for_rounding(published, built, agree):
  assert model_table.agrees(published, built) == agree


def test_figures_survive_a_file(tmp_path):
  path = tmp_path / 'model_figures.json'
  assert model_figures.load(path) == {}
  entry = model_figures.Figures('d', {'head': 2}, {'head': 1}, {'head': 3})
  model_figures.save(path, {'b': entry, 'a': dataclasses.replace(entry, digest='e')})
  assert list(model_figures.load(path)) == ['a', 'b'] and model_figures.load(path)['b'] == entry


def test_numbers_keep_four_digits():
  assert [model_table.significant(x) for x in (0.98091, 33.806, 561.0, 1040.74)] == [
    '0.9809',
    '33.81',
    '561.0',
    '1040.7',
  ]
  assert math.isclose(float(model_table.significant(2.338)), 2.338)
