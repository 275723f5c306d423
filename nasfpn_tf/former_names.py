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

"""Imports modules by the names that they had before they moved, which users' code and configurations may contain.

The former name gives the very module of today, so that classes stay the same objects.
"""

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import types
from collections.abc import Sequence

# Former name of a module -> its name today, both within nasfpn_tf.
FORMER = {
  'config_types': 'config.checking',
  'data.anchors': 'data.input.anchors',
  'data.annotations': 'data.sources.annotations',
  'data.augment': 'data.input.augment.augmentation',
  'data.autoaugment': 'data.input.augment.autoaugment',
  'data.categories': 'data.sources.categories',
  'data.check': 'data.records.check',
  'data.coco': 'data.sources.coco',
  'data.decode': 'data.input.decode',
  'data.digits': 'data.sources.digits',
  'data.distortion': 'data.input.augment.distortion',
  'data.formats': 'data.sources.formats',
  'data.framing': 'data.records.framing',
  'data.images': 'data.sources.images',
  'data.label_names': 'data.records.label_names',
  'data.labels': 'data.input.labels',
  'data.manifest': 'data.records.manifest',
  'data.ordered_map': 'data.records.ordered_map',
  'data.overlaps': 'data.input.overlaps',
  'data.photographs': 'data.sources.photographs',
  'data.preprocess': 'data.input.preprocess',
  'data.problems': 'data.sources.problems',
  'data.staging': 'data.records.staging',
  'data.statistics': 'data.records.statistics',
  'data.tfrecord': 'data.records.tfrecord',
  'data.voc': 'data.sources.voc',
  'data.yolo': 'data.sources.yolo',
  'frontier.labels': 'report.labels',
  'frontier.pareto': 'report.pareto',
  'frontier.report': 'frontier.documents',
  'modeling.amoebanet': 'modeling.backbones.amoebanet',
  'modeling.amoebanet_cell': 'modeling.backbones.amoebanet_cell',
  'modeling.amoebanet_conv': 'modeling.backbones.amoebanet_conv',
  'modeling.applications': 'modeling.backbones.applications',
  'modeling.decoder': 'modeling.decoders',
  'modeling.load_report': 'modeling.weights.load_report',
  'modeling.restore': 'modeling.weights.restore',
  'modeling.scale_permuted': 'modeling.backbones.scale_permuted',
  'modeling.warm_start': 'modeling.weights.warm_start',
  'predict.forms': 'predict.loading',
  'quickstart.process': 'chain.process',
  'quickstart.steps': 'chain.steps',
  'search.backbones': 'search.spaces.backbones',
  'search.bank': 'search.evaluators.bank',
  'search.child': 'search.evaluators.child',
  'search.controller': 'search.searchers.controller',
  'search.database': 'search.storage.database',
  'search.directory': 'search.storage.directory',
  'search.executor': 'search.executors.executor',
  'search.evaluators.latency': 'modeling.latency',
  'search.latency': 'modeling.latency',
  'search.local_executor': 'search.executors.local',
  'search.outputs': 'search.storage.outputs',
  'search.ppo': 'search.searchers.ppo',
  'search.process': 'search.executors.process',
  'search.proxy': 'search.evaluators.proxy',
  'search.pyramids': 'search.spaces.pyramids',
  'search.ray_executor': 'search.executors.ray_cluster',
  'search.report': 'search.summary',
  'search.reward': 'search.evaluators.reward',
  'search.searcher': 'search.searchers.searcher',
  'search.shared': 'search.evaluators.shared',
  'search.store': 'search.storage.store',
  'search.synthetic': 'search.searchers.synthetic',
  'search.worker': 'search.executors.worker',
  'training.failure': 'failure',
}

_PACKAGE = __name__.rpartition('.')[0]


class _Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
  """Finds the modules of `FORMER`; it is asked last, so a module that exists under the name goes first."""

  def find_spec(
    self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None
  ) -> importlib.machinery.ModuleSpec | None:
    """See base class."""
    name = fullname.removeprefix(f'{_PACKAGE}.')
    return importlib.util.spec_from_loader(fullname, self) if name != fullname and name in FORMER else None

  def exec_module(self, module: types.ModuleType) -> None:
    """See base class."""
    name = module.__name__.removeprefix(f'{_PACKAGE}.')
    sys.modules[module.__name__] = importlib.import_module(f'{_PACKAGE}.{FORMER[name]}')


def install() -> None:
  """Makes `import` find the former names; further calls have no effect."""
  if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
    sys.meta_path.append(_Finder())
