-- title: carriers in one group of people
SELECT count(*) FROM panel.samples JOIN panel.snps USING (sample) WHERE rs2986742 >= 1 AND superpopulation = 'EUR';
--> reads panel.samples (one row a person): sample, superpopulation
--> joins on the person:
-->   reads panel.snps (one row a person): sample, rs2986742
--> keeps rows where (samples.superpopulation = 'EUR') and (snps.rs2986742 >= 1)
--> measure 1: count of rows
--> each person counts with one row
--> shows count(*): measure 1

-- title: a genotype table by groups of people
SELECT superpopulation, rs2986742, count(*) FROM panel.samples s JOIN panel.snps g ON s.sample = g.sample GROUP BY 1, 2;
--> reads panel.samples (one row a person): sample, superpopulation
--> joins on the person:
-->   reads panel.snps (one row a person): sample, rs2986742
--> groups by samples.superpopulation: 'AFR', 'AMR', 'EAS', 'EUR', 'SAS'
--> groups by snps.rs2986742: 0, 1, 2, null
--> measure 1: count of rows
--> each person counts with one row in one group
--> shows superpopulation: samples.superpopulation
--> shows rs2986742: snps.rs2986742
--> shows count(*): measure 1

-- title: allele frequencies by arithmetic after the noise
SELECT superpopulation, avg(rs2986742) / 2 AS frequency FROM panel.samples JOIN panel.snps USING (sample) GROUP BY superpopulation ORDER BY frequency DESC;
--> reads panel.samples (one row a person): sample, superpopulation
--> joins on the person:
-->   reads panel.snps (one row a person): sample, rs2986742
--> groups by samples.superpopulation: 'AFR', 'AMR', 'EAS', 'EUR', 'SAS'
--> measure 1: sum of deviations of snps.rs2986742, clamped to 0 .. 2 in steps of 1
--> measure 2: count of rows where snps.rs2986742 is not null
--> each person counts with one row in one group
--> then computes samples.superpopulation, (mean from measures 1 and 2) / 2
--> then sorts by (mean from measures 1 and 2) / 2 descending
--> shows superpopulation: samples.superpopulation
--> shows frequency: (mean from measures 1 and 2) / 2
