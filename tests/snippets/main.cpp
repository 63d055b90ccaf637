// SPDX-License-Identifier: BSL-1.0
// The snippets are compiled, not run: this only links them.
int main()
{
}
