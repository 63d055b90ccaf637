// SPDX-License-Identifier: BSL-1.0
// Nothing of its own: the target that has it precompiles the headers which all test programs include.
