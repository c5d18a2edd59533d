"""syntheflow's server: learns tables with neural networks and streams synthetic rows."""
