CREATE TABLE `people` (
  `id` int(11'') DEFAULT PRIMEY (`id`),`n` (`name`)
) E=InnoDB DEFAULT SET