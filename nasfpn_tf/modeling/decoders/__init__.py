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

"""Registers all decoders with Model Garden when imported."""

from nasfpn_tf.modeling.decoders.feature_pyramid import build_feature_pyramid
from nasfpn_tf.modeling.decoders.mnas_fpn import build_mnas_fpn
from nasfpn_tf.modeling.decoders.smoothed_fpn import build_smoothed_fpn
from nasfpn_tf.modeling.decoders.ssd import build_ssd_layers

__all__ = ['build_feature_pyramid', 'build_mnas_fpn', 'build_smoothed_fpn', 'build_ssd_layers']
