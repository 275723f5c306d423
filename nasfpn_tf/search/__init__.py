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

"""Searches for architectures: spaces, searchers, evaluators, a resumable loop (arXiv 1904.07392, sec. 3 and 4).

Public interfaces for extensions: `space.SearchSpace`, `trial.Trial` and `trial.Measurement`,
`problems.SearchError`. The packages import downwards only:

  run        a search from its configuration to its results
  loop       propose, evaluate, observe
  executors  where trials are evaluated: processes of this machine, a Ray cluster
  evaluators what a trial is worth: the proxy task, shared weights
  searchers  what is tried next: PPO, evolution, a predictor, random search
  storage    what is kept: the store, and the files made from it
  spaces     what there is to find: pyramids, backbones
"""
