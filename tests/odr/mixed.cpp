// SPDX-License-Identifier: BSL-1.0
// The same code in one program three times: from the headers, with dgram::compiled, and with other flags.

#include <cstddef>

std::size_t echo_header_only(std::size_t count);
std::size_t echo_compiled(std::size_t count);
std::size_t echo_other_flags(std::size_t count);

int main()
{
  const bool all = echo_header_only(8) == 16 && echo_compiled(8) == 16 && echo_other_flags(8) == 16;
  return all ? 0 : 1;
}
