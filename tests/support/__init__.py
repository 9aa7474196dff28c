"""What tests of several rooms share: real servers, the other side of a wire, recorded traffic."""
