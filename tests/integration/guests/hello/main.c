/* The smallest guest: says hello and leaves. Used for start-up times and life-cycle tests. */
#include "rt.h"

void guest_main(void)
{
	print("hello\n");
}
