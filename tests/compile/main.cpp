// SPDX-License-Identifier: BSL-1.0
// The program that the one-header objects are linked into: it runs if they all compiled and linked.

int main()
{
}
