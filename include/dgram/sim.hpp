// SPDX-License-Identifier: BSL-1.0
// The whole simulated network. `dgram.hpp` does not include it.
#ifndef DGRAM_SIM_HPP
#define DGRAM_SIM_HPP

#include <dgram/sim_clock.hpp>
#include <dgram/sim_config.hpp>
#include <dgram/sim_network.hpp>
#include <dgram/sim_random.hpp>
#include <dgram/sim_resolve.hpp>
#include <dgram/sim_seeds.hpp>
#include <dgram/sim_socket.hpp>
#include <dgram/sim_timer.hpp>

#endif
