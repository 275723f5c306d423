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

"""Proposes architectures: random search, regularized evolution, a learned predictor, a controller trained by PPO."""

from nasfpn_tf.search.searchers.evolution import RegularizedEvolution, mutate
from nasfpn_tf.search.searchers.policy import PolicySearch
from nasfpn_tf.search.searchers.predictor import PredictorSearch
from nasfpn_tf.search.searchers.random_search import RandomSearch
from nasfpn_tf.search.searchers.registry import SEARCHERS, build

__all__ = ['SEARCHERS', 'PolicySearch', 'PredictorSearch', 'RandomSearch', 'RegularizedEvolution', 'build', 'mutate']
