// The wheels of libtorch bring `ProcessGroupGloo` and its header, and none of gloo's that this one includes. Nothing of gloo is called from here:
// declarations are enough, and these five files have those that the header names.
#pragma once
